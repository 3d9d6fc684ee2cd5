"""What `snnrun data fetch` can bring: for each data set its files, where they are, and their checksums.

The sums of the speech data are from zenkelab.org/datasets/md5sums.txt as loaders repeat them, those of the images from
the data sets' own pages, those of the event cameras from github.com/neuromorphs/tonic.
"""

from dataclasses import dataclass

ZENKE_LAB = ("https://zenkelab.org/datasets", "https://compneuro.net/datasets")
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
)
_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist")
_MENDELEY = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files"
_SPOKEN = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz"


@dataclass(frozen=True)
class Download:
    """One file to fetch.

    Attributes:
        name: of the file, where it will be.
        urls: where it is, tried in turn.
        md5: of its content; None where nobody publishes one.
        folder: the folder that an archive unpacks into; None for a file that is used as it is.
    """

    name: str
    urls: tuple[str, ...]
    md5: str | None
    folder: str | None = None


def _from(bases: tuple[str, ...], sums: dict[str, str]) -> tuple[Download, ...]:
    return tuple(Download(name, tuple(f"{base}/{name}" for base in bases), md5) for name, md5 in sums.items())


DOWNLOADS: dict[str, tuple[Download, ...]] = {
    "shd": _from(
        ZENKE_LAB,
        {
            "shd_train.h5.gz": "d47c9825dee33347913e8ce0f2be08b0",
            "shd_test.h5.gz": "3062a80ec0c5719404d5b02e166543b1",
        },
    ),
    "ssc": _from(
        ZENKE_LAB,
        {
            "ssc_train.h5.zip": "d102be95e7144fcc0553d1f45ba94170",
            "ssc_valid.h5.zip": "b4eee3516a4a90dd0c71a6ac23a8ae43",
            "ssc_test.h5.zip": "a35ff1e9cffdd02a20eb850c17c37748",
        },
    ),
    "human_digits": (Download("free-spoken-digit-dataset-1.0.10.tar.gz", (_SPOKEN,), None, "recordings"),),
    "mnist": _from(
        _MNIST,
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion_mnist": _from(
        _FASHION,
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "nmnist": (
        Download(
            "Train.zip",
            (f"{_MENDELEY}/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",),
            "20959b8e626244a1b502305a9e6e2031",
            "Train",
        ),
        Download(
            "Test.zip",
            (f"{_MENDELEY}/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",),
            "69ca8762b2fe404d9b9bad1103e97832",
            "Test",
        ),
    ),
    "dvs_gesture": (
        Download(
            "ibmGestureTrain.tar.gz",
            ("https://figshare.com/ndownloader/files/38022171",),
            "3a8f0d4120a166bac7591f77409cb105",
            "ibmGestureTrain",
        ),
        Download(
            "ibmGestureTest.tar.gz",
            ("https://figshare.com/ndownloader/files/38020584",),
            "56070e45dadaa85fff82e0fbfbc06de5",
            "ibmGestureTest",
        ),
    ),
}

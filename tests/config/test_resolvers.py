"""Names of folders made from overrides."""

from snnrun.config.resolvers import LONGEST_FOLDER_NAME, job_folder


def test_sorted_without_what_says_nothing_about_the_experiment():
    assert job_folder(["surrogate=none", "++beta=5", "name=slopes", "output_dir=/x"]) == "beta=5,surrogate=none"


def test_no_separators():
    assert job_folder(["dataset.test=/a/b c.h5"]) == "dataset.test=_a_b_c.h5"


def test_no_overrides():
    assert job_folder([]) == "defaults"


def test_long_names_are_cut_and_stay_different():
    first, second = (job_folder([f"tags=[{'é' * 300}{end}]", f"seed={'1' * 200}{end}"]) for end in "ab")
    assert first != second
    assert max(len(first.encode()), len(second.encode())) <= LONGEST_FOLDER_NAME

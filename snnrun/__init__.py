"""snnrun: experiments with spiking neural networks, from the command line."""

__version__ = "0.1.0"

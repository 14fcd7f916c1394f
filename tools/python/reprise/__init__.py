"""Reprise: ALBERT and BERT on any GPU, through Vulkan.

    import reprise
    reprise.pipeline("sentiment-analysis")("a warm and funny film")

pipeline() answers as transformers' does; Model has the tasks on lists of texts; Encoder makes vectors of sentences as
sentence-transformers does. Everything is the C library's: this package passes values to and fro."""
from ._native import Call, CancelledError, Error, lib
from .encoder import Encoder
from .models import Device, Encoding, Model, Tokenizer, convert, devices, find_model, pull
from .pipelines import Pipeline, pipeline
from .training import finetune, pretrain

__version__ = lib.rp_version().decode()
__all__ = ["Call", "CancelledError", "Device", "Encoder", "Encoding", "Error", "Model", "Pipeline", "Tokenizer",
           "convert", "devices", "find_model", "finetune", "pipeline", "pretrain", "pull"]

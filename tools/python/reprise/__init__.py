"""Reprise: ALBERT and BERT on any GPU, through Vulkan.

    import reprise
    reprise.pipeline("sentiment-analysis")("a warm and funny film")

pipeline() answers as transformers' does; Model has the tasks on lists of texts; Encoder makes vectors of sentences as
sentence-transformers does. Everything is the C library's: this package passes values to and fro."""
from ._native import Call, CancelledError, Error, lib
from .apps import Chat, Documents, Index, Moderation, nbest, tune_nbest, write_index
from .encoder import Encoder
from .models import Device, Model, convert, devices, find_model, pull, shared_model
from .pipelines import Pipeline, pipeline
from .tokens import Encoding, Tokenizer
from .training import finetune, pretrain

__version__ = lib.rp_version().decode()
__all__ = ["Call", "CancelledError", "Chat", "Device", "Documents", "Encoder", "Encoding", "Error", "Index", "Model",
           "Moderation", "Pipeline", "Tokenizer", "convert", "devices", "find_model", "finetune", "nbest", "pipeline",
           "pretrain", "pull", "shared_model", "tune_nbest", "write_index"]

"""Encoder: sentence-transformers' SentenceTransformer.encode, by Reprise."""
from __future__ import annotations

import array
import os
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ._native import Call, Error, matrix
from .models import Device, Model, any_device
from .tokens import Tokenizer

_PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")
_IGNORED = ("trust_remote_code", "token", "use_auth_token", "local_files_only", "similarity_fn_name")


def _tensors(vectors: List[Any], name: str) -> List[Any]:
    try:
        import torch
    except ImportError:
        raise TypeError(f"encode: the argument '{name}' is not served without PyTorch") from None
    return [torch.tensor(vector.tolist(), dtype=torch.float32) for vector in vectors]


def _cut(vectors: List[Any], columns: int) -> List[Any]:
    """The first columns, as SentenceTransformer cuts: behind the folder's Normalize, not before it."""
    rows = [array.array("f", vector.tolist()[0][:columns]) for vector in vectors]
    return [matrix(memoryview(row), [1, len(row)]) for row in rows]


class Encoder:
    """A folder of sentence-transformers, or any model, as an encoder of sentences.

    `prompts`, `default_prompt_name` and `truncate_dim` stand in place of what the folder says, as they do in
    SentenceTransformer; other arguments are those of Model."""

    def __init__(self, model: Union[str, "os.PathLike[str]", Model], *, device: Union[Device, str, int, None] = None,
                 prompts: Optional[Mapping[str, str]] = None, default_prompt_name: Optional[str] = None,
                 truncate_dim: Optional[int] = None, **arguments: Any):
        for name in [*_IGNORED, *(name for name in arguments if not arguments[name])]:
            arguments.pop(name, None)
        self._given = {"prompts": prompts, "default_prompt_name": default_prompt_name, "truncate_dim": truncate_dim}
        self.prompts = dict(prompts or {})
        self.default_prompt_name, self.truncate_dim = default_prompt_name, truncate_dim
        if prompts is not None and default_prompt_name is not None and default_prompt_name not in prompts:
            raise ValueError(f"default_prompt_name '{default_prompt_name}' is not one of {list(prompts)}")
        self.model = model if isinstance(model, Model) else Model(model, device=any_device(device), **arguments)

    @property
    def tokenizer(self) -> Tokenizer:
        return self.model.tokenizer

    @property
    def device(self) -> Device:
        return self.model.device

    def eval(self) -> "Encoder":
        """Does nothing: a model only answers."""
        return self

    def get_sentence_embedding_dimension(self) -> int:
        return int(self.encode("a").shape[-1])

    def _prompt(self, prompt: Optional[str], name: Optional[str]) -> Dict[str, Any]:
        """The prompt of a call: its own, else one by name, of the constructor's or the folder's."""
        name = self.default_prompt_name if name is None else name
        if prompt is None and name in self.prompts:
            prompt = self.prompts[name]
        return {"prompt": prompt, "prompt_name": name if prompt is None else None}

    def encode(self, sentences: Union[str, Sequence[str]], prompt_name: Optional[str] = None,
               prompt: Optional[str] = None, batch_size: int = 32, show_progress_bar: Optional[bool] = None,
               output_value: str = "sentence_embedding", precision: str = "float32", convert_to_numpy: bool = True,
               convert_to_tensor: bool = False, device: Optional[str] = None, normalize_embeddings: bool = False,
               dimensions: Optional[int] = None) -> Any:
        """[len(sentences), width] of float32, or [width] for one str. Where there is no NumPy, a list of
        memoryviews. With PyTorch, convert_to_tensor gives one tensor, and convert_to_numpy=False a list of them.
        `batch_size` is how many texts go to the library at once; how many it computes together it decides itself."""
        if precision not in _PRECISIONS:
            raise ValueError(f"'precision' is one of {', '.join(_PRECISIONS)}, not {precision!r}")
        for name, value, usual in (("output_value", output_value, "sentence_embedding"), ("precision", precision, "float32")):
            if value != usual:
                raise TypeError(f"encode: the argument '{name}' is not served but as '{usual}'")
        single = isinstance(sentences, str)
        if isinstance(sentences, bytes) or not hasattr(sentences, "__iter__"):
            raise TypeError(f"sentences are a str or a list of them, not {type(sentences).__name__}")
        items: List[Any] = [sentences] if single else list(sentences)
        for index, item in enumerate(items):
            if not isinstance(item, (str, bytes)):
                raise TypeError(f"sentence {index} is no str but {type(item).__name__}: give one str, or a list of them")
        vectors: List[Any] = []
        arguments = {**self._prompt(prompt, prompt_name), "normalize": "yes" if normalize_embeddings else None,
                     "dimensions": dimensions or (self.truncate_dim if normalize_embeddings else None)}
        for begin in range(0, len(items), max(batch_size, 1) * 8):
            try:
                made = self.model.embed(items[begin: begin + max(batch_size, 1) * 8], **arguments)
            except Error as error:  # a prompt that there is not, too many dimensions
                raise (ValueError(str(error)) if error.status == "error_argument" else error) from None
            vectors += made if arguments["dimensions"] or not self.truncate_dim else _cut(made, self.truncate_dim)
            if show_progress_bar:
                print(f"\r{len(vectors)} of {len(items)}", end="" if len(vectors) < len(items) else "\n",
                      file=sys.stderr, flush=True)
        if convert_to_tensor or not convert_to_numpy:
            rows = _tensors(vectors, "convert_to_tensor" if convert_to_tensor else "convert_to_numpy")
            return self._torch(rows, single, convert_to_tensor)
        try:
            import numpy
        except ImportError:
            return vectors[0] if single else vectors
        if single:
            return vectors[0][0]
        return numpy.concatenate(vectors) if vectors else numpy.asarray([])

    def _torch(self, rows: List[Any], single: bool, whole: bool) -> Any:
        import torch
        if single:
            return rows[0][0]
        if whole:
            return torch.cat(rows) if rows else torch.Tensor()
        return [row[0] for row in rows]

    def __reduce__(self) -> Tuple[Any, ...]:
        return _reopen, (self.model, self._given)


def _reopen(model: Model, given: Dict[str, Any]) -> Encoder:
    return Encoder(model, **given)


__all__ = ["Call", "Encoder"]

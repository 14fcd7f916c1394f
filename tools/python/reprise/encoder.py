"""Encoder: sentence-transformers' SentenceTransformer.encode, by Reprise."""
from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from ._native import Call
from .models import Device, Model


class Encoder:
    """A folder of sentence-transformers, or any model, as an encoder of sentences."""

    def __init__(self, model: Union[str, "os.PathLike[str]", Model], *,
                 device: Union[Device, str, int, None] = None, **arguments: Any):
        self.model = model if isinstance(model, Model) else Model(model, device=device, **arguments)

    def get_sentence_embedding_dimension(self) -> int:
        return int(self.encode("a").shape[-1])

    def encode(self, sentences: Union[str, Sequence[str]], prompt_name: Optional[str] = None,
               prompt: Optional[str] = None, batch_size: int = 32, show_progress_bar: Optional[bool] = None,
               output_value: str = "sentence_embedding", precision: str = "float32", convert_to_numpy: bool = True,
               convert_to_tensor: bool = False, device: Optional[str] = None, normalize_embeddings: bool = False,
               dimensions: Optional[int] = None) -> Any:
        """[len(sentences), width] of float32, or [width] for one str. Where there is no NumPy, a list of
        memoryviews. `batch_size` is how many texts go to the library at once; how many it computes together it
        decides itself."""
        if convert_to_tensor or not convert_to_numpy or output_value != "sentence_embedding" or precision != "float32":
            name = ("convert_to_tensor" if convert_to_tensor else "convert_to_numpy" if not convert_to_numpy
                    else "output_value" if output_value != "sentence_embedding" else "precision")
            raise TypeError(f"encode: the argument '{name}' is not served but by its default")
        single = isinstance(sentences, str)
        items: List[str] = [sentences] if isinstance(sentences, str) else list(sentences)
        vectors: List[Any] = []
        for begin in range(0, len(items), max(batch_size, 1) * 8):
            batch = items[begin: begin + max(batch_size, 1) * 8]
            arguments: Dict[str, Any] = {"prompt_name": prompt_name, "prompt": prompt, "dimensions": dimensions,
                         "normalize": "yes" if normalize_embeddings else None}
            vectors += self.model.embed(batch, **arguments)
            if show_progress_bar:
                print(f"\r{len(vectors)} of {len(items)}", end="" if len(vectors) < len(items) else "\n",
                      file=sys.stderr, flush=True)
        try:
            import numpy
        except ImportError:
            return vectors[0] if single else vectors
        if single:
            return vectors[0][0]
        return numpy.concatenate(vectors) if vectors else numpy.empty((0,), numpy.float32)

    def __reduce__(self) -> Tuple[Any, ...]:
        return Encoder, (self.model,)


__all__ = ["Call", "Encoder"]

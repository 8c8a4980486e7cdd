"""Every way in which a model was seen to be broken, and what must be said of it."""

from dataclasses import dataclass

from onnx import TensorProto

from tests.core.broken_models import (
    CTC,
    NEMO,
    TRANSDUCER,
    Damage,
    copy,
    edit,
    folder_instead,
    metadata,
    network,
    other_family,
    remove,
    tokens,
    write,
)

LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 271834931\n"
)


@dataclass(frozen=True)
class Fault:
    """One broken model.

    Attributes:
        name: what is wrong.
        family: the good model it is made from, and what it is loaded as.
        damage: breaks the good model in the given folder.
        says: words of the sentence it must end in.
    """

    name: str
    family: str
    damage: Damage
    says: tuple[str, ...]


_MODEL, _ENCODER = "model.int8.onnx", "encoder.int8.onnx"
_F, _I = TensorProto.FLOAT, TensorProto.INT64

FILE_FAULTS = [
    Fault("model missing", CTC, remove(_MODEL), ("has no model file",)),
    Fault(
        "joiner missing",
        TRANSDUCER,
        remove("joiner.onnx"),
        ("has no joiner file; expected joiner.int8.onnx or joiner.onnx",),
    ),
    Fault("tokens missing", CTC, remove("tokens.txt"), ("has no tokens file",)),
    Fault("model is a folder", CTC, folder_instead(_MODEL), (_MODEL, "is not a file")),
    Fault("model empty", CTC, write(_MODEL, b""), (_MODEL, "is empty")),
    Fault("model tiny", CTC, write(_MODEL, b"Entry not found"), (_MODEL, "15 bytes")),
    Fault("model a web page", CTC, write(_MODEL, b"<!DOCTYPE html><html>"), ("web page",)),
    Fault(
        "model a git-lfs pointer",
        CTC,
        write(_MODEL, LFS_POINTER),
        (_MODEL, "git-lfs pointer", "protobuf parsing failed", "git lfs pull"),
    ),
    Fault(
        "decoder a git-lfs pointer",
        TRANSDUCER,
        write("decoder.onnx", LFS_POINTER),
        ("decoder.onnx", "git lfs pull"),
    ),
    Fault(
        "tokens a git-lfs pointer",
        CTC,
        write("tokens.txt", LFS_POINTER),
        ("tokens.txt", "git lfs pull"),
    ),
    Fault("tokens empty", CTC, write("tokens.txt", b""), ("tokens.txt", "is empty")),
    Fault(
        "tokens malformed",
        CTC,
        tokens(lambda lines: [*lines[:3], "а б 3", *lines[4:]]),
        ("tokens.txt, line 4", "'а б 3' is not `symbol id`"),
    ),
    Fault(
        "tokens without ids",
        CTC,
        tokens(lambda lines: [line.rsplit(" ", 1)[0] or "_" for line in lines]),
        ("tokens.txt, line 1", "is not `symbol id`"),
    ),
    Fault(
        "tokens with an empty line",
        CTC,
        tokens(lambda lines: [*lines[:5], "", *lines[5:]]),
        ("tokens.txt, line 6", "'' is not `symbol id`"),
    ),
    Fault("tokens binary", CTC, write("tokens.txt", b"\x80\x81\xfe\xff" * 40), ("not UTF-8",)),
    Fault(
        "tokens with a byte order mark",
        CTC,
        edit("tokens.txt", lambda data: b"\xef\xbb\xbf" + data),
        ("tokens.txt", "byte order mark"),
    ),
    Fault(
        "tokens without a blank",
        CTC,
        tokens(lambda lines: lines[:-1]),
        ("tokens.txt", "none of <blk>, <eps>, <blank>"),
    ),
    Fault(
        "tokens with an id twice",
        CTC,
        tokens(lambda lines: [*lines[:-1], "<blk> 32"]),
        ("tokens.txt", "id 32 occurs twice"),
    ),
    Fault(
        "tokens with a line missing",
        CTC,
        tokens(lambda lines: [*lines[:7], *lines[8:]]),
        ("tokens.txt", "none has id 7"),
    ),
    Fault(
        "transducer with a CTC model's tokens",
        TRANSDUCER,
        other_family("tokens.txt", CTC, "tokens.txt"),
        ("tokens.txt", "blank <blk>", "must be the first"),
    ),
    Fault(
        "NeMo transducer with a zipformer's tokens",
        NEMO,
        other_family("tokens.txt", TRANSDUCER, "tokens.txt"),
        ("tokens.txt", "must be <blk>"),
    ),
]
"""What check_files finds, without an ONNX reader."""

GRAPH_FAULTS = [
    Fault(
        "model truncated", CTC, edit(_MODEL, lambda data: data[: len(data) // 2]), ("is damaged",)
    ),
    Fault("model of random bytes", CTC, write(_MODEL, bytes(range(256)) * 64), ("is damaged",)),
    Fault(
        "encoder truncated",
        TRANSDUCER,
        edit(_ENCODER, lambda data: data[: len(data) // 2]),
        (_ENCODER, "is damaged"),
    ),
    *(
        Fault(f"CTC without {key}", CTC, metadata(_MODEL, key, None), (_MODEL, f"has no '{key}'"))
        for key in ("vocab_size", "subsampling_factor")
    ),
    *(
        Fault(
            f"CTC with subsampling_factor {value}",
            CTC,
            metadata(_MODEL, "subsampling_factor", value),
            (_MODEL, f"'subsampling_factor' = '{value}'"),
        )
        for value in ("0", "-4", "four")
    ),
    Fault(
        "CTC with a normalisation that ends the process at the first decode",
        CTC,
        metadata(_MODEL, "normalize_type", "all_features"),
        (_MODEL, "normalize_type 'all_features'"),
    ),
    Fault(
        "CTC with too few tokens",
        CTC,
        tokens(lambda lines: [*lines[:-2], "<blk> 32"]),
        (_MODEL, "puts out 34 symbols", "tokens.txt lists 33"),
    ),
    Fault(
        "CTC with too many tokens",
        CTC,
        tokens(lambda lines: [*lines, "ё 34"]),
        (_MODEL, "puts out 34 symbols", "tokens.txt lists 35"),
    ),
    Fault(
        "GigaAM with 80 mel bins",
        CTC,
        network(_MODEL, ("x", _F, ["B", 80, "T"]), ("n", _I, ["B"]), (">y", _F, ["B", "T", 34])),
        (_MODEL, "80 mel bins"),
    ),
    Fault(
        "encoder given as CTC model",
        CTC,
        other_family(_ENCODER, TRANSDUCER, _MODEL),
        (_MODEL, "calls itself 'zipformer2'", "not of family nemo_ctc"),
    ),
    Fault(
        "WeNet's CTC model given as NeMo's",
        CTC,
        metadata(_MODEL, "model_type", "wenet_ctc"),
        (_MODEL, "calls itself 'wenet_ctc'", "not of family nemo_ctc"),
    ),
    Fault(
        "NeMo's encoder given as zipformer",
        TRANSDUCER,
        metadata(_ENCODER, "model_type", "EncDecRNNTBPEModel"),
        (_ENCODER, "calls itself 'EncDecRNNTBPEModel'", "not of family transducer"),
    ),
    Fault(
        "joiner given as CTC model",
        CTC,
        other_family("joiner.onnx", TRANSDUCER, _MODEL),
        (_MODEL, "has no 'vocab_size'"),
    ),
    Fault(
        "decoder given as CTC model",
        CTC,
        other_family("decoder.onnx", TRANSDUCER, _MODEL),
        (_MODEL, "is not a NeMo CTC model", "1 inputs (y)"),
    ),
    Fault(
        "CTC model given as encoder",
        TRANSDUCER,
        other_family(_MODEL, CTC, _ENCODER),
        (_ENCODER, "is not the encoder of an offline transducer"),
    ),
    Fault(
        "decoder and joiner swapped",
        TRANSDUCER,
        copy("joiner.onnx", "decoder.onnx"),
        ("decoder.onnx", "is not the decoder of a transducer"),
    ),
    Fault(
        "streaming encoder",
        TRANSDUCER,
        network(
            _ENCODER,
            ("x", _F, ["N", 45, 80]),
            ("cached_key_0", _F, [64, "N", 128]),
            ("cached_nonlin_attn_0", _F, [1, "N", 64, 144]),
            (">encoder_out", _F, ["N", 16, 34]),
            (">new_cached_key_0", _F, [64, "N", 128]),
        ),
        (_ENCODER, "3 inputs (x, cached_key_0", "expected 2"),
    ),
    Fault(
        "encoder with float lengths",
        TRANSDUCER,
        network(
            _ENCODER,
            ("x", _F, ["N", "T", 80]),
            ("x_lens", _F, ["N"]),
            (">encoder_out", _F, ["N", "T", 34]),
            (">encoder_out_lens", _I, ["N"]),
        ),
        (_ENCODER, "x_lens is tensor(float)"),
    ),
    *(
        Fault(
            f"decoder without {key}",
            TRANSDUCER,
            metadata("decoder.onnx", key, None),
            ("decoder.onnx", f"has no '{key}'"),
        )
        for key in ("vocab_size", "context_size")
    ),
    Fault(
        "decoder of another context size",
        TRANSDUCER,
        metadata("decoder.onnx", "context_size", "3"),
        ("decoder.onnx", "takes 2 tokens", "context_size 3"),
    ),
    Fault(
        "joiner with fewer symbols than the decoder says",
        TRANSDUCER,
        metadata("decoder.onnx", "vocab_size", "5000"),
        ("joiner.onnx", "puts out 34 symbols", "says 5000"),
    ),
    Fault(
        "transducer with too few tokens",
        TRANSDUCER,
        tokens(lambda lines: lines[:-1]),
        ("joiner.onnx", "puts out 34 symbols", "tokens.txt lists 33"),
    ),
    Fault(
        "joiner of another model",
        TRANSDUCER,
        network(
            "joiner.onnx",
            ("encoder_out", _F, ["N", 512]),
            ("decoder_out", _F, ["N", 512]),
            (">logit", _F, ["N", 34]),
        ),
        (_ENCODER, "puts out 34 values", "joiner.onnx takes 512", "different models"),
    ),
    *(
        Fault(
            f"NeMo encoder without {key}",
            NEMO,
            metadata("encoder.onnx", key, None),
            ("encoder.onnx", f"has no '{key}'"),
        )
        for key in ("vocab_size", "subsampling_factor", "pred_rnn_layers", "pred_hidden")
    ),
    Fault(
        "NeMo encoder with another vocabulary than its joiner",
        NEMO,
        metadata("encoder.onnx", "vocab_size", "512"),
        ("joiner.onnx", "puts out 34 symbols", "says 513"),
    ),
    Fault(
        "NeMo transducer with too many tokens",
        NEMO,
        tokens(lambda lines: [*lines[:-1], "ё 33", "<blk> 34"]),
        ("encoder.onnx", "puts out 34 symbols", "tokens.txt lists 35"),
    ),
    Fault(
        "zipformer's decoder in a NeMo transducer",
        NEMO,
        other_family("decoder.onnx", TRANSDUCER, "decoder.onnx"),
        ("decoder.onnx", "is not the decoder of a NeMo transducer"),
    ),
]
"""What only an ONNX reader finds."""

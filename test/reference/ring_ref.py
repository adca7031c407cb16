#!/usr/bin/python3
"""Readable float64 reference for the BailingMoeLinearV2 architecture.

The model family (Ring-mini-linear-2.0, Ring-flash-linear-2.0) is a decoder-only
transformer that mixes two attention kinds (linear attention with a fixed
per-head decay, and softmax GQA) and uses a sparse sigmoid-routed MoE.
This file is written from the model's specification (docs/MODEL.md), for clarity
and exactness, not speed.  It depends on numpy only.

Commands (see README.md next to this file):
  make-tiny DIR --seed N [--variant V] [--set k=v]   random checkpoint, HF naming
  golden    DIR --tokens ... --out FILE.json         logits / hidden states
  selfcheck                                          internal consistency tests
  params    [--preset mini|flash | CONFIG.json]      tensor inventory, accounting
  slopes    [--preset mini|flash | CONFIG.json]      decay table for each convention
  inspect   DIR                                      list the tensors of a checkpoint
"""

import argparse
import json
import math
import os
import struct
import sys

import numpy as np

F64 = np.float64
REF_VERSION = 1

# --------------------------------------------------------------------------
# 1. storage dtypes
# --------------------------------------------------------------------------


def bf16_decode(u16):
    return (u16.astype(np.uint32) << 16).view(np.float32)


def bf16_encode(x):
    """Round to nearest even."""
    u = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    rounded = (u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return rounded.astype(np.uint16)


def _e4m3_table():
    """The 256 values of OCP float8 E4M3 'fn': bias 7, no infinity, S.1111.111 is NaN."""
    out = np.empty(256, dtype=np.float64)
    for code in range(256):
        sign = -1.0 if code & 0x80 else 1.0
        exponent = (code >> 3) & 0xF
        mantissa = code & 7
        if exponent == 0xF and mantissa == 7:
            out[code] = np.nan
        elif exponent == 0:
            out[code] = sign * mantissa * 2.0 ** -9
        else:
            out[code] = sign * (1 + mantissa / 8.0) * 2.0 ** (exponent - 7)
    return out


E4M3 = _e4m3_table()
_E4M3_POS = E4M3[:0x7F]  # 0 .. 448, increasing with the code


def e4m3_decode(u8):
    return E4M3[u8]


def e4m3_encode(x):
    """Saturating, round to nearest, ties to the even code."""
    x = np.asarray(x, dtype=np.float64)
    magnitude = np.minimum(np.abs(x), 448.0)
    hi = np.clip(np.searchsorted(_E4M3_POS, magnitude, side="left"), 0, 0x7E)
    lo = np.maximum(hi - 1, 0)
    d_hi = _E4M3_POS[hi] - magnitude
    d_lo = magnitude - _E4M3_POS[lo]
    take_lo = (d_lo < d_hi) | ((d_lo == d_hi) & (lo % 2 == 0))
    code = np.where(take_lo, lo, hi).astype(np.uint8)
    return code | (np.signbit(x).astype(np.uint8) << 7)


# name -> (numpy storage dtype, decoder)
DTYPES = {
    "F64": (np.dtype("<f8"), lambda a: a),
    "F32": (np.dtype("<f4"), lambda a: a),
    "F16": (np.dtype("<f2"), lambda a: a),
    "BF16": (np.dtype("<u2"), bf16_decode),
    "F8_E4M3": (np.dtype("u1"), e4m3_decode),
    "I64": (np.dtype("<i8"), lambda a: a),
    "I32": (np.dtype("<i4"), lambda a: a),
    "U8": (np.dtype("u1"), lambda a: a),
}


def encode(x, dtype):
    if dtype == "BF16":
        return bf16_encode(x)
    if dtype == "F8_E4M3":
        return e4m3_encode(x)
    return np.ascontiguousarray(x, dtype=DTYPES[dtype][0])


# --------------------------------------------------------------------------
# 2. safetensors
# --------------------------------------------------------------------------


class TensorFile:
    """One .safetensors file: u64 header length, JSON header, raw little-endian data."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            (n,) = struct.unpack("<Q", f.read(8))
            if n > 1 << 28:
                raise ValueError(f"{path}: unreasonable header size {n}")
            header = json.loads(f.read(n))
        self.base = 8 + n
        self.meta = header.pop("__metadata__", {})
        self.entries = header
        self.size = os.path.getsize(path)
        for name, e in header.items():
            begin, end = e["data_offsets"]
            want = int(np.prod(e["shape"], dtype=np.int64)) * DTYPES[e["dtype"]][0].itemsize
            if end - begin != want or self.base + end > self.size:
                raise ValueError(f"{path}: {name}: bad extent {begin}..{end}, want {want} bytes")
        self._map = np.memmap(path, dtype=np.uint8, mode="r")

    def raw(self, name):
        e = self.entries[name]
        begin, end = e["data_offsets"]
        storage = DTYPES[e["dtype"]][0]
        buf = self._map[self.base + begin:self.base + end]
        # copy: an unaligned start cannot be viewed directly
        return e["dtype"], np.frombuffer(buf.tobytes(), dtype=storage).reshape(e["shape"])


class Checkpoint:
    """A directory with config.json and one or more safetensors shards."""

    def __init__(self, directory, cache_limit=400_000_000):
        self.dir = directory
        with open(os.path.join(directory, "config.json")) as f:
            self.config = json.load(f)
        index = os.path.join(directory, "model.safetensors.index.json")
        if os.path.exists(index):
            with open(index) as f:
                names = sorted(set(json.load(f)["weight_map"].values()))
        else:
            names = sorted(n for n in os.listdir(directory) if n.endswith(".safetensors"))
        self.files = [TensorFile(os.path.join(directory, n)) for n in names]
        self.where = {}
        for f in self.files:
            for name in f.entries:
                if name in self.where:
                    raise ValueError(f"duplicate tensor {name}")
                self.where[name] = f
        if os.path.exists(index):
            with open(index) as fh:
                wm = json.load(fh)["weight_map"]
            for name, shard in wm.items():
                if name not in self.where or os.path.basename(self.where[name].path) != shard:
                    raise ValueError(f"index says {name} is in {shard}")
        total = sum(int(np.prod(e["shape"])) for f in self.files for e in f.entries.values())
        self._cache = {} if total <= cache_limit else None  # large checkpoints are streamed

    def __contains__(self, name):
        return name in self.where

    def shape(self, name):
        return tuple(self.where[name].entries[name]["shape"])

    def dtype(self, name):
        return self.where[name].entries[name]["dtype"]

    def get(self, name):
        """The tensor as float64, with FP8 block (or channel, or tensor) scales applied."""
        if self._cache is not None and name in self._cache:
            return self._cache[name]
        dtype, raw = self.where[name].raw(name)
        x = DTYPES[dtype][1](raw).astype(np.float64)
        if dtype == "F8_E4M3":
            x = self._descale(name, x)
        if self._cache is not None:
            self._cache[name] = x
        return x

    def _descale(self, name, x):
        for suffix in ("_scale_inv", "_scale"):
            if name + suffix in self.where:
                s = self.get(name + suffix)
                break
        else:
            raise ValueError(f"{name} is FP8 but has no scale tensor")
        if s.size == 1:
            return x * s.reshape(())
        if s.ndim == 2 and s.shape == (x.shape[0], 1):
            return x * s
        block = (self.config.get("quantization_config") or {}).get("weight_block_size", [128, 128])
        rows, cols = x.shape
        if s.shape != (-(-rows // block[0]), -(-cols // block[1])):
            raise ValueError(f"{name}: scale shape {s.shape} does not fit blocks {block}")
        full = np.repeat(np.repeat(s, block[0], axis=0)[:rows], block[1], axis=1)[:, :cols]
        return x * full


def write_safetensors(path, tensors):
    """tensors: list of (name, dtype, storage array)."""
    header, offset, blobs = {}, 0, []
    for name, dtype, arr in tensors:
        blob = np.ascontiguousarray(arr).tobytes()
        header[name] = {"dtype": dtype, "shape": list(arr.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    header["__metadata__"] = {"format": "pt"}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)))
        f.write(text)
        for blob in blobs:
            f.write(blob)


# --------------------------------------------------------------------------
# 3. configuration
# --------------------------------------------------------------------------

DECAY_CONVENTIONS = ("serving", "hf", "mlx")
DEFAULT_DECAY = "serving"


class Config:
    def __init__(self, raw):
        self.raw = raw
        g = raw.get
        self.hidden = raw["hidden_size"]
        self.layers = raw["num_hidden_layers"]
        self.heads = raw["num_attention_heads"]
        self.kv_heads = g("num_key_value_heads") or self.heads
        self.head_dim = g("head_dim") or self.hidden // self.heads
        self.inter = raw["intermediate_size"]
        self.vocab = raw["vocab_size"]
        self.eps = g("rms_norm_eps", 1e-6)
        self.group_size = g("layer_group_size", 1)
        self.group_norm = g("group_norm_size", 1)
        self.experts = g("num_experts") or 0
        self.top_k = g("num_experts_per_tok", 1)
        self.shared = g("num_shared_experts") or 0
        self.moe_inter = g("moe_intermediate_size") or 0
        self.shared_inter = (g("moe_shared_expert_intermediate_size") or self.moe_inter) * self.shared
        self.first_dense = g("first_k_dense_replace", 0)
        self.n_group = g("n_group") or 1
        self.topk_group = g("topk_group") or 1
        self.score = g("score_function") or "sigmoid"
        self.norm_topk = g("norm_topk_prob", True)
        self.route_scale = g("routed_scaling_factor", 1.0)
        self.expert_bias = g("moe_router_enable_expert_bias", True)
        self.theta = float(g("rope_theta", 600000.0))
        self.rope_scaling = g("rope_scaling")
        self.rotary_dim = g("rotary_dim") or int(self.head_dim * g("partial_rotary_factor", 1.0))
        self.qk_norm = g("use_qk_norm", False)
        self.linear_silu = bool(g("use_linear_silu", g("linear_silu", False)))
        self.linear_rope = g("linear_rope", True)
        self.tied = g("tie_word_embeddings", False)
        self.qkv_bias = bool(g("use_qkv_bias") or g("use_bias"))
        self.dense_bias = bool(g("use_bias"))
        if self.rotary_dim % 2:
            raise ValueError("rotary dimension must be even")
        if self.heads % self.kv_heads:
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")

    def is_softmax(self, layer):
        """Last layer of every group, and every layer of an incomplete trailing group."""
        return ((layer + 1) % self.group_size == 0
                or layer >= self.layers // self.group_size * self.group_size)

    def is_moe(self, layer):
        return self.experts > 0 and layer >= self.first_dense


def alibi_slopes(n):
    """Positive base slopes, one per head."""
    def power_of_two(m):
        start = 2.0 ** -(2.0 ** -(math.log2(m) - 3))
        return [start ** (i + 1) for i in range(m)]

    if math.log2(n).is_integer():
        return np.array(power_of_two(n))
    base = 2 ** math.floor(math.log2(n))
    return np.array(power_of_two(base) + power_of_two(2 * base)[0::2][: n - base])


def layer_factor(layer, layers, convention):
    """Depth factor on the slopes; `layer` counts from 0.

    serving: layer / (L-1)            SGLang, vLLM, areno, MaxText; Megatron with 1-based numbers
    hf:      (layer - 1) / (L-1)      the modeling file shipped with the checkpoint
    mlx:     max(0, layer - 1) / (L-1)
    """
    if layers <= 1:
        return 1.0 + 1e-5
    pos = {"serving": layer, "hf": layer - 1, "mlx": max(0, layer - 1)}[convention]
    return 1.0 - pos / (layers - 1) + 1e-5


def log_decay(cfg, layer, convention):
    """g[h] <= 0; the state is multiplied by exp(g[h]) at every step."""
    return -alibi_slopes(cfg.heads) * layer_factor(layer, cfg.layers, convention)


def rope_tables(cfg):
    """(inverse frequencies [rotary_dim/2], factor on cos and sin)."""
    dim, base = cfg.rotary_dim, cfg.theta
    freq = base ** (np.arange(0, dim, 2) / dim)
    rs = cfg.rope_scaling
    kind = (rs.get("rope_type") or rs.get("type") or "default") if rs else "default"
    if kind == "default":
        return 1.0 / freq, 1.0
    if kind == "linear":
        return 1.0 / freq / rs["factor"], 1.0
    if kind != "yarn":
        raise ValueError(f"rope type {kind} is not part of this family")

    factor = float(rs["factor"])
    original = rs.get("original_max_position_embeddings") or cfg.raw["max_position_embeddings"]

    def correction_dim(rotations):
        return dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(correction_dim(rs.get("beta_fast") or 32)), 0)
    high = min(math.ceil(correction_dim(rs.get("beta_slow") or 1)), dim - 1)
    if low == high:
        high += 0.001
    ramp = np.clip((np.arange(dim // 2) - low) / (high - low), 0, 1)
    keep = 1.0 - ramp  # 1: extrapolate (unchanged), 0: interpolate (divided by factor)
    inv = (1.0 / (factor * freq)) * (1 - keep) + (1.0 / freq) * keep

    def mscale(m):
        return 1.0 if factor <= 1 else 0.1 * m * math.log(factor) + 1.0

    if rs.get("attention_factor") is not None:
        att = float(rs["attention_factor"])
    elif rs.get("mscale") and rs.get("mscale_all_dim"):
        att = mscale(rs["mscale"]) / mscale(rs["mscale_all_dim"])
    else:
        att = mscale(1.0) * rs.get("attn_factor", 1.0)
    return inv, att


def expected_tensors(cfg):
    """[(name, shape, role)] in a fixed order."""
    H, inner, out = cfg.hidden, cfg.heads * cfg.head_dim, []

    def add(name, shape, role):
        out.append((name, tuple(shape), role))

    def mlp(prefix, inter, role):
        add(f"{prefix}.gate_proj.weight", (inter, H), role)
        add(f"{prefix}.up_proj.weight", (inter, H), role)
        add(f"{prefix}.down_proj.weight", (H, inter), role)

    add("model.word_embeddings.weight", (cfg.vocab, H), "embedding")
    for i in range(cfg.layers):
        p = f"model.layers.{i}"
        add(f"{p}.input_layernorm.weight", (H,), "norm")
        soft = cfg.is_softmax(i)
        kv = cfg.kv_heads if soft else cfg.heads
        kind = "softmax-attention" if soft else "linear-attention"
        add(f"{p}.attention.query_key_value.weight", ((cfg.heads + 2 * kv) * cfg.head_dim, H), kind)
        if cfg.qkv_bias:
            add(f"{p}.attention.query_key_value.bias", ((cfg.heads + 2 * kv) * cfg.head_dim,), kind)
        if cfg.qk_norm:
            add(f"{p}.attention.query_layernorm.weight", (cfg.head_dim,), "norm")
            add(f"{p}.attention.key_layernorm.weight", (cfg.head_dim,), "norm")
        if not soft:
            add(f"{p}.attention.g_proj.weight", (inner, H), kind)
            add(f"{p}.attention.g_norm.weight", (inner,), "norm")
        add(f"{p}.attention.dense.weight", (H, inner), kind)
        if cfg.dense_bias:
            add(f"{p}.attention.dense.bias", (H,), kind)
        add(f"{p}.post_attention_layernorm.weight", (H,), "norm")
        if cfg.is_moe(i):
            add(f"{p}.mlp.gate.weight", (cfg.experts, H), "router")
            if cfg.expert_bias:
                add(f"{p}.mlp.gate.expert_bias", (cfg.experts,), "router-bias")
            for e in range(cfg.experts):
                mlp(f"{p}.mlp.experts.{e}", cfg.moe_inter, "expert")
            if cfg.shared:
                mlp(f"{p}.mlp.shared_experts", cfg.shared_inter, "shared-expert")
        else:
            mlp(f"{p}.mlp", cfg.inter, "dense-mlp")
    add("model.norm.weight", (H,), "norm")
    if not cfg.tied:
        add("lm_head.weight", (cfg.vocab, H), "lm-head")
    return out


# --------------------------------------------------------------------------
# 4. building blocks (time-major: x is [T, hidden])
# --------------------------------------------------------------------------


def sigmoid(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def silu(x):
    return x * sigmoid(x)


def rms_norm(x, weight, eps):
    """Over the last axis."""
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def group_rms_norm(x, weight, groups, eps):
    """`groups` equal contiguous pieces of the last axis, each normalised on its own."""
    parts = x.reshape(x.shape[:-1] + (groups, -1))
    parts = parts / np.sqrt(np.mean(parts * parts, axis=-1, keepdims=True) + eps)
    return parts.reshape(x.shape) * weight


def rope(x, positions, inv_freq, scale):
    """x: [T, heads, D]. The first 2*len(inv_freq) channels rotate, channel i with i + half."""
    half = len(inv_freq)
    angle = positions[:, None] * inv_freq[None, :]
    cos = (np.cos(angle) * scale)[:, None, :]
    sin = (np.sin(angle) * scale)[:, None, :]
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)


# Linear attention.  q, k, v: [T, H, D]; g: [H] log decay; state: [H, Dk, Dv].
# Per head:  S_t = exp(g) S_{t-1} + k_t (x) v_t ;  o_t = scale * q_t S_t


def linear_recurrent(q, k, v, g, scale, state):
    S = state.copy()
    decay = np.exp(g)[:, None, None]
    out = np.empty_like(v)
    for t in range(q.shape[0]):
        S = decay * S + k[t][:, :, None] * v[t][:, None, :]
        out[t] = scale * np.einsum("hd,hde->he", q[t], S)
    return out, S


def linear_chunked(q, k, v, g, scale, state, chunk=64):
    S = state.copy()
    out = np.empty_like(v)
    for start in range(0, q.shape[0], chunk):
        qc, kc, vc = (a[start:start + chunk] for a in (q, k, v))
        c = qc.shape[0]
        i = np.arange(c)
        lag = i[:, None] - i[None, :]
        # decay[h, i, j] = exp(g_h (i - j)) for j <= i
        decay = np.where(lag >= 0, np.exp(g[:, None, None] * np.maximum(lag, 0)), 0.0)
        scores = np.einsum("ihd,jhd->hij", qc, kc) * decay
        inside = np.einsum("hij,jhe->ihe", scores, vc)
        carried = np.einsum("ihd,hde->ihe", qc, S) * np.exp(g[None, :] * (i + 1)[:, None])[..., None]
        out[start:start + c] = scale * (inside + carried)
        tail = np.exp(g[None, :] * (c - 1 - i)[:, None])[..., None]
        S = np.exp(g * c)[:, None, None] * S + np.einsum("jhd,jhe->hde", kc * tail, vc)
    return out, S


def linear_quadratic(q, k, v, g, scale, state):
    """One T x T mask built from the cumulative log decay (the form FLA documents)."""
    T = q.shape[0]
    cum = np.cumsum(np.broadcast_to(g, (T, g.size)), axis=0)          # [T, H]
    diff = cum[:, None, :] - cum[None, :, :]                          # [T, T, H]
    mask = np.tril(np.ones((T, T), dtype=bool))[:, :, None]
    weights = np.where(mask, np.exp(np.where(mask, diff, 0.0)), 0.0)
    scores = np.einsum("ihd,jhd->ijh", q, k) * weights
    out = np.einsum("ijh,jhe->ihe", scores, v)
    out += np.einsum("ihd,hde->ihe", q * np.exp(cum)[..., None], state)
    last = np.exp(cum[-1][None, :] - cum)[..., None]
    S = np.exp(cum[-1])[:, None, None] * state + np.einsum("jhd,jhe->hde", k * last, v)
    return scale * out, S


LINEAR_FORMS = {"recurrent": linear_recurrent, "chunked": linear_chunked, "quadratic": linear_quadratic}


def softmax_attention(q, k, v, scale, offset):
    """q: [T, H, D]; k, v: [S, Hkv, D]; query t sits at absolute position offset + t."""
    T, H, D = q.shape
    S, Hkv, _ = k.shape
    rep = H // Hkv  # query head h reads kv head h // rep
    qg = q.reshape(T, Hkv, rep, D)
    scores = np.einsum("tgrd,sgd->grts", qg, k) * scale
    visible = np.arange(S)[None, :] <= (offset + np.arange(T))[:, None]
    scores = np.where(visible, scores, -np.inf)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    probs = scores / scores.sum(axis=-1, keepdims=True)
    return np.einsum("grts,sge->tgre", probs, v).reshape(T, H, v.shape[-1])


def route(cfg, logits, bias):
    """Returns (expert ids [T, k], weights [T, k]); ids by falling selection score, ties to low id."""
    if cfg.score == "sigmoid":
        score = sigmoid(logits)
    else:
        e = np.exp(logits - logits.max(axis=-1, keepdims=True))
        score = e / e.sum(axis=-1, keepdims=True)
    select = score if bias is None else score + bias
    T, E = select.shape
    if cfg.n_group > 1:
        grouped = select.reshape(T, cfg.n_group, -1)
        best_two = np.sort(grouped, axis=-1)[..., -2:].sum(axis=-1)
        keep = np.argsort(-best_two, axis=-1, kind="stable")[:, :cfg.topk_group]
        mask = np.zeros((T, cfg.n_group), dtype=bool)
        np.put_along_axis(mask, keep, True, axis=-1)
        select = np.where(np.repeat(mask, E // cfg.n_group, axis=-1), select, -np.inf)
    ids = np.argsort(-select, axis=-1, kind="stable")[:, :cfg.top_k]
    weight = np.take_along_axis(score, ids, axis=-1)  # without the bias
    if cfg.norm_topk and cfg.top_k > 1:
        weight = weight / (weight.sum(axis=-1, keepdims=True) + 1e-20)
    return ids, weight * cfg.route_scale


def route_margin(cfg, logits, bias):
    """How far each token is from another choice of groups or experts (sigmoid scores), [T].

    An engine in lower precision may legitimately differ where this is tiny."""
    select = sigmoid(logits) + (0.0 if bias is None else bias)
    T = select.shape[0]
    margin = np.full(T, np.inf)
    if 1 < cfg.n_group and cfg.topk_group < cfg.n_group:
        marks = np.sort(np.sort(select.reshape(T, cfg.n_group, -1), axis=-1)[..., -2:].sum(axis=-1), axis=-1)
        margin = marks[:, -cfg.topk_group] - marks[:, -cfg.topk_group - 1]
    ids, _ = route(cfg, logits, bias)
    if cfg.n_group > 1:
        keep = np.argsort(-np.sort(select.reshape(T, cfg.n_group, -1), axis=-1)[..., -2:].sum(axis=-1),
                          axis=-1, kind="stable")[:, :cfg.topk_group]
        mask = np.zeros((T, cfg.n_group), dtype=bool)
        np.put_along_axis(mask, keep, True, axis=-1)
        select = np.where(np.repeat(mask, select.shape[1] // cfg.n_group, axis=-1), select, -np.inf)
    if cfg.top_k < select.shape[1]:
        ordered = np.sort(select, axis=-1)
        margin = np.minimum(margin, ordered[:, -cfg.top_k] - ordered[:, -cfg.top_k - 1])
    return margin


# --------------------------------------------------------------------------
# 5. the model
# --------------------------------------------------------------------------


class Cache:
    """Per layer: a linear state [H, D, D], or (K, V) of shape [S, Hkv, D] each."""

    def __init__(self, layers):
        self.length = 0
        self.state = [None] * layers
        self.kv = [None] * layers


class Model:
    def __init__(self, checkpoint, decay=DEFAULT_DECAY, linear="chunked", chunk=64):
        self.ck = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        self.cfg = Config(self.ck.config)
        if decay not in DECAY_CONVENTIONS:
            raise ValueError(decay)
        self.decay, self.linear, self.chunk = decay, linear, chunk
        self.inv_freq, self.rope_scale = rope_tables(self.cfg)
        self.check_tensors()

    def check_tensors(self):
        want = {n: s for n, s, _ in expected_tensors(self.cfg)}
        for name, shape in want.items():
            if name not in self.ck:
                raise ValueError(f"missing tensor {name}")
            if self.ck.shape(name) != shape:
                raise ValueError(f"{name}: shape {self.ck.shape(name)}, expected {shape}")

    def w(self, name):
        return self.ck.get(name)

    def project(self, x, prefix):
        y = x @ self.w(prefix + ".weight").T
        if prefix + ".bias" in self.ck:
            y = y + self.w(prefix + ".bias")
        return y

    def swiglu(self, x, prefix):
        gate = silu(self.project(x, prefix + ".gate_proj"))
        return self.project(gate * self.project(x, prefix + ".up_proj"), prefix + ".down_proj")

    def qkv(self, x, prefix, positions, linear):
        """Fused projection, rows ordered [all Q heads, all K heads, all V heads]."""
        cfg, T = self.cfg, x.shape[0]
        kv_heads = cfg.heads if linear else cfg.kv_heads  # linear layers are multi-head
        y = self.project(x, prefix + ".query_key_value")
        if linear and cfg.linear_silu:
            y = silu(y)
        y = y.reshape(T, cfg.heads + 2 * kv_heads, cfg.head_dim)
        q, k, v = np.split(y, [cfg.heads, cfg.heads + kv_heads], axis=1)
        if cfg.qk_norm:
            q = rms_norm(q, self.w(prefix + ".query_layernorm.weight"), cfg.eps)
            k = rms_norm(k, self.w(prefix + ".key_layernorm.weight"), cfg.eps)
        if cfg.linear_rope or not linear:
            q = rope(q, positions, self.inv_freq, self.rope_scale)
            k = rope(k, positions, self.inv_freq, self.rope_scale)
        return q, k, v

    def linear_attention(self, layer, x, positions, cache):
        cfg, p = self.cfg, f"model.layers.{layer}.attention"
        q, k, v = self.qkv(x, p, positions, linear=True)
        state = cache.state[layer]
        if state is None:
            state = np.zeros((cfg.heads, cfg.head_dim, cfg.head_dim))
        g = log_decay(cfg, layer, self.decay)
        scale = cfg.head_dim ** -0.5
        extra = {"chunk": self.chunk} if self.linear == "chunked" else {}
        o, cache.state[layer] = LINEAR_FORMS[self.linear](q, k, v, g, scale, state, **extra)
        o = group_rms_norm(o.reshape(x.shape[0], -1), self.w(p + ".g_norm.weight"), cfg.group_norm, cfg.eps)
        o = o * sigmoid(self.project(x, p + ".g_proj"))  # gate from the layer input, not from o
        return self.project(o, p + ".dense")

    def full_attention(self, layer, x, positions, cache):
        cfg, p = self.cfg, f"model.layers.{layer}.attention"
        q, k, v = self.qkv(x, p, positions, linear=False)
        if cache.kv[layer] is not None:
            k = np.concatenate([cache.kv[layer][0], k])
            v = np.concatenate([cache.kv[layer][1], v])
        cache.kv[layer] = (k, v)
        o = softmax_attention(q, k, v, cfg.head_dim ** -0.5, cache.length)
        return self.project(o.reshape(x.shape[0], -1), p + ".dense")

    def moe(self, layer, x, trace):
        cfg, p = self.cfg, f"model.layers.{layer}.mlp"
        logits = x @ self.w(p + ".gate.weight").T
        bias = self.w(p + ".gate.expert_bias") if p + ".gate.expert_bias" in self.ck else None
        ids, weight = route(cfg, logits, bias)
        out = np.zeros_like(x)
        for e in np.unique(ids):
            rows, slot = np.nonzero(ids == e)
            out[rows] += weight[rows, slot][:, None] * self.swiglu(x[rows], f"{p}.experts.{e}")
        if cfg.shared:
            out = out + self.swiglu(x, p + ".shared_experts")
        if trace is not None:
            trace["router"] = {"ids": ids, "weights": weight, "logits": logits,
                               "margin": route_margin(cfg, logits, bias) if cfg.score == "sigmoid" else None}
        return out

    def forward(self, tokens, cache=None, trace=None, head="all"):
        """Feed `tokens`; returns logits [T, vocab] (head='last': [1, vocab]). Updates `cache`."""
        cfg = self.cfg
        tokens = np.asarray(tokens, dtype=np.int64)
        cache = cache if cache is not None else Cache(cfg.layers)
        positions = (cache.length + np.arange(len(tokens))).astype(F64)
        h = self.w("model.word_embeddings.weight")[tokens]
        if trace is not None:
            trace["embedding"] = h.copy()
            trace["layers"] = []
        for i in range(cfg.layers):
            p = f"model.layers.{i}"
            row = {} if trace is not None else None
            attend = self.full_attention if cfg.is_softmax(i) else self.linear_attention
            a = attend(i, rms_norm(h, self.w(p + ".input_layernorm.weight"), cfg.eps), positions, cache)
            h = h + a
            x = rms_norm(h, self.w(p + ".post_attention_layernorm.weight"), cfg.eps)
            m = self.moe(i, x, row) if cfg.is_moe(i) else self.swiglu(x, p + ".mlp")
            h = h + m
            if trace is not None:
                row.update(index=i, attention="softmax" if cfg.is_softmax(i) else "linear",
                           mlp="moe" if cfg.is_moe(i) else "dense", attn_out=a, mlp_out=m, hidden=h.copy())
                trace["layers"].append(row)
        cache.length += len(tokens)
        h = rms_norm(h, self.w("model.norm.weight"), cfg.eps)
        if trace is not None:
            trace["final"] = h.copy()
        if head == "last":
            h = h[-1:]
        return h @ self.w("model.word_embeddings.weight" if cfg.tied else "lm_head.weight").T

    def generate(self, tokens, steps):
        """Greedy continuation."""
        cache = Cache(self.cfg.layers)
        logits = self.forward(tokens, cache, head="last")
        out = []
        for _ in range(steps):
            out.append(int(np.argmax(logits[-1])))
            logits = self.forward([out[-1]], cache, head="last")
        return out


# --------------------------------------------------------------------------
# 6. presets and tiny checkpoints
# --------------------------------------------------------------------------

MINI = {
    "architectures": ["BailingMoeLinearV2ForCausalLM"], "model_type": "bailing_moe_linear",
    "attention_dropout": 0.0, "embedding_dropout": 0.0, "output_dropout": 0.0,
    "eos_token_id": 156892, "pad_token_id": 156892,
    "first_k_dense_replace": 1, "group_norm_size": 4, "head_dim": 128, "hidden_act": "silu",
    "hidden_size": 2048, "intermediate_size": 5120, "layer_group_size": 5, "linear_silu": False,
    "max_position_embeddings": 131072, "moe_intermediate_size": 512,
    "moe_router_enable_expert_bias": True, "moe_shared_expert_intermediate_size": 512,
    "n_group": 8, "norm_topk_prob": True, "num_attention_heads": 16, "num_experts": 256,
    "num_experts_per_tok": 8, "num_hidden_layers": 20, "num_key_value_heads": 4,
    "num_nextn_predict_layers": 0, "num_shared_experts": 1, "partial_rotary_factor": 0.5,
    "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000,
    "routed_scaling_factor": 2.5, "router_dtype": "fp32", "score_function": "sigmoid",
    "tie_word_embeddings": False, "topk_group": 4, "torch_dtype": "bfloat16", "use_bias": False,
    "use_cache": True, "use_qk_norm": True, "use_qkv_bias": False, "use_rmsnorm": True,
    "vocab_size": 157184,
}
FLASH = dict(MINI, hidden_size=4096, intermediate_size=9216, num_hidden_layers=32, num_attention_heads=32,
             moe_intermediate_size=1024, moe_shared_expert_intermediate_size=1024, layer_group_size=8)
PRESETS = {"mini": MINI, "flash": FLASH}

TINY = dict(MINI, hidden_size=128, intermediate_size=320, num_hidden_layers=10, num_attention_heads=8,
            num_key_value_heads=2, head_dim=16, vocab_size=512, max_position_embeddings=4096,
            num_experts=16, num_experts_per_tok=4, n_group=4, topk_group=2, moe_intermediate_size=64,
            moe_shared_expert_intermediate_size=64, group_norm_size=4, layer_group_size=5,
            eos_token_id=510, pad_token_id=510)

VARIANTS = {
    "base": {},
    # RoPE scaling: here max_position_embeddings = factor * original, so every reference agrees
    "yarn": {"max_position_embeddings": 1024, "rope_theta": 10000,
             "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}},
    # one softmax layer in eight, eight norm groups, many narrow heads
    "flash": {"num_hidden_layers": 8, "layer_group_size": 8, "num_attention_heads": 16, "num_key_value_heads": 4,
              "head_dim": 8, "group_norm_size": 8},
    "nogroup": {"n_group": 1, "topk_group": 1},
    "tied": {"tie_word_embeddings": True, "num_hidden_layers": 6, "layer_group_size": 3},
    # not a power of two; heads * head_dim != hidden; incomplete trailing group; two dense layers
    "odd-heads": {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 32, "group_norm_size": 3,
                  "num_hidden_layers": 7, "layer_group_size": 3, "first_k_dense_replace": 2},
    # ragged 128x128 blocks (192 = 128 + 64, 160 = 128 + 32)
    "fp8": {"hidden_size": 192, "head_dim": 24, "moe_intermediate_size": 160,
            "moe_shared_expert_intermediate_size": 160, "num_hidden_layers": 6, "layer_group_size": 3,
            "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                    "weight_block_size": [128, 128]}},
}

# What the vendor's converter quantises in the softmax sibling; g_proj, the router, norms, embedding
# and lm_head stay BF16 (its list predates g_proj).
FP8_ROLES = {"expert", "shared-expert", "dense-mlp", "linear-attention", "softmax-attention"}


def fp8_blocks(x, power_of_two):
    """Returns (codes, scales): x is about codes * scale, one scale per 128x128 block."""
    rows, cols = x.shape
    scale = np.empty((-(-rows // 128), -(-cols // 128)))
    codes = np.empty(x.shape, dtype=np.uint8)
    for r in range(scale.shape[0]):
        for c in range(scale.shape[1]):
            block = x[r * 128:(r + 1) * 128, c * 128:(c + 1) * 128]
            s = max(np.abs(block).max(), 1e-4) / 448.0
            if power_of_two:
                s = 2.0 ** math.ceil(math.log2(s))
            scale[r, c] = np.float32(s)
            codes[r * 128:(r + 1) * 128, c * 128:(c + 1) * 128] = e4m3_encode(block / scale[r, c])
    return codes, scale


def make_tiny(directory, seed, variant="base", overrides=None, shards=2):
    raw = dict(TINY)
    raw.update(VARIANTS[variant])
    raw.update(overrides or {})
    cfg = Config(raw)
    rng = np.random.default_rng(seed)
    tensors = []
    for name, shape, role in expected_tensors(cfg):
        if role == "norm":
            x = 1.0 + 0.1 * rng.standard_normal(shape)
        elif role == "router-bias":
            x = 0.05 * rng.standard_normal(shape)
        elif role == "embedding":
            x = rng.standard_normal(shape)
        elif name.endswith(".bias"):
            x = 0.1 * rng.standard_normal(shape)
        else:
            x = rng.standard_normal(shape) / math.sqrt(shape[-1])
        quant = (raw.get("quantization_config") and role in FP8_ROLES and name.endswith(".weight")
                 and "g_proj" not in name)
        if quant:
            ue8m0 = name.endswith("attention.dense.weight") or (".experts." in name and "down_proj" not in name)
            codes, scale = fp8_blocks(x, ue8m0)
            tensors.append((name, "F8_E4M3", codes))
            tensors.append((name + "_scale_inv", "F32", scale.astype(np.float32)))
        else:
            dtype = "F32" if role == "router-bias" else "BF16"
            tensors.append((name, dtype, encode(x, dtype)))

    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "config.json"), "w") as f:
        json.dump(raw, f, indent=2)
        f.write("\n")
    with open(os.path.join(directory, "generation_config.json"), "w") as f:
        json.dump({"eos_token_id": [raw["eos_token_id"], raw["eos_token_id"] + 1],
                   "pad_token_id": raw["pad_token_id"]}, f, indent=2)
        f.write("\n")
    total = sum(a.nbytes for _, _, a in tensors)
    parts, size = [[]], 0
    for t in tensors:
        if size > total * len(parts) / shards and len(parts) < shards:
            parts.append([])
        parts[-1].append(t)
        size += t[2].nbytes
    weight_map = {}
    for i, part in enumerate(parts):
        name = f"model-{i + 1:05d}-of-{len(parts):05d}.safetensors"
        write_safetensors(os.path.join(directory, name), part)
        weight_map.update({t[0]: name for t in part})
    with open(os.path.join(directory, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}, f, indent=2)
        f.write("\n")
    return len(tensors), total


# --------------------------------------------------------------------------
# 7. golden files
# --------------------------------------------------------------------------


def parse_tokens(text, vocab):
    """'1,2,3' or '@file.json' or 'random:COUNT:SEED'."""
    if text.startswith("@"):
        with open(text[1:]) as f:
            return [int(t) for t in json.load(f)]
    if text.startswith("random:"):
        _, count, seed = text.split(":")
        return [int(t) for t in np.random.default_rng(int(seed)).integers(0, vocab, int(count))]
    return [int(t) for t in text.replace(",", " ").split()]


def run_both(model, tokens):
    """(prefill logits, trace, cache, decode logits, decode hiddens)."""
    trace, cache = {}, Cache(model.cfg.layers)
    full = model.forward(tokens, cache, trace)
    step_cache, step_logits = Cache(model.cfg.layers), []
    step_hidden = [[] for _ in range(model.cfg.layers)]
    for t in tokens:
        tr = {}
        step_logits.append(model.forward([t], step_cache, tr)[0])
        for i, row in enumerate(tr["layers"]):
            step_hidden[i].append(row["hidden"][0])
    return full, trace, cache, np.array(step_logits), np.array(step_hidden), step_cache


def agreement(model, tokens, tolerance=1e-9):
    full, trace, cache, steps, hidden, step_cache = run_both(model, tokens)
    diffs = {"logits": np.abs(full - steps).max()}
    diffs["hidden"] = max(np.abs(r["hidden"] - hidden[r["index"]]).max() for r in trace["layers"])
    diffs["state"] = max([np.abs(a - b).max() for a, b in zip(cache.state, step_cache.state) if a is not None] or [0.0])
    diffs["kv"] = max([max(np.abs(a[j] - b[j]).max() for j in (0, 1))
                       for a, b in zip(cache.kv, step_cache.kv) if a is not None] or [0.0])
    # prefill in two unequal pieces
    if len(tokens) > 1:
        cut, c = max(1, len(tokens) // 3), Cache(model.cfg.layers)
        pieces = np.concatenate([model.forward(tokens[:cut], c), model.forward(tokens[cut:], c)])
        diffs["split"] = np.abs(full - pieces).max()
    diffs = {k: float(v) for k, v in diffs.items()}
    worst = max(diffs.values())
    if not worst <= tolerance:
        raise AssertionError(f"prefill and decode differ: {diffs}")
    return full, trace, cache, steps, diffs


def golden(directory, tokens_text, out, decay, chunk, generate, digits):
    model = Model(directory, decay=decay, linear="chunked", chunk=chunk)
    cfg = model.cfg
    tokens = parse_tokens(tokens_text, cfg.vocab)
    full, trace, cache, steps, diffs = agreement(model, tokens)
    other = Model(model.ck, decay=decay, linear="recurrent").forward(tokens)
    diffs["recurrent_vs_chunked"] = float(np.abs(full - other).max())
    if diffs["recurrent_vs_chunked"] > 1e-9:
        raise AssertionError(diffs)

    def lst(x):
        return np.round(np.asarray(x, dtype=F64), digits).tolist() if digits else np.asarray(x).tolist()

    doc = {
        "tool": "ring_ref", "version": REF_VERSION, "decay_convention": decay, "tokens": tokens,
        "config": cfg.raw,
        "layer_kinds": ["softmax" if cfg.is_softmax(i) else "linear" for i in range(cfg.layers)],
        "log_decay": {str(i): log_decay(cfg, i, decay).tolist() for i in range(cfg.layers) if not cfg.is_softmax(i)},
        "rope": {"inv_freq": model.inv_freq.tolist(), "scale": model.rope_scale},
        "max_abs_difference": diffs,
        "logits": lst(full), "decode_logits": lst(steps),
        "argmax": np.argmax(full, axis=-1).tolist(),
        "embedding": lst(trace["embedding"]), "final_norm": lst(trace["final"]),
        "layers": [],
        "linear_state": {str(i): lst(s) for i, s in enumerate(cache.state) if s is not None},
        "kv": {str(i): {"k": lst(kv[0]), "v": lst(kv[1])} for i, kv in enumerate(cache.kv) if kv is not None},
    }
    for row in trace["layers"]:
        item = {k: row[k] for k in ("index", "attention", "mlp")}
        item.update(attn_out=lst(row["attn_out"]), mlp_out=lst(row["mlp_out"]), hidden=lst(row["hidden"]))
        if "router" in row:
            r = row["router"]
            item["router"] = {"ids": r["ids"].tolist(), "weights": lst(r["weights"]), "logits": lst(r["logits"])}
            if r["margin"] is not None:  # null: no other choice exists
                item["router"]["margin"] = [float(m) if np.isfinite(m) else None for m in r["margin"]]
        doc["layers"].append(item)
    if generate:
        doc["greedy"] = model.generate(tokens, generate)
    with open(out, "w") as f:
        json.dump(doc, f, allow_nan=False)
        f.write("\n")
    return diffs


# --------------------------------------------------------------------------
# 8. self-check
# --------------------------------------------------------------------------


def scalar_forward(ck, tokens, decay):
    """The whole model again, one number at a time, token by token, sharing no helper above
    except the tensor reader.  Written against the text of the specification."""
    c = ck.config
    T = {n: ck.get(n).tolist() for n in ck.where if not n.endswith("_scale_inv")}
    H, L, NH, NK = c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["num_key_value_heads"]
    D, G, eps = c["head_dim"], c["layer_group_size"], c["rms_norm_eps"]
    rot = int(D * c["partial_rotary_factor"])
    sig = lambda z: 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))

    def matvec(w, x):
        return [sum(a * b for a, b in zip(row, x)) for row in w]

    def norm(x, w):
        r = 1.0 / math.sqrt(sum(z * z for z in x) / len(x) + eps)
        return [z * r * u for z, u in zip(x, w)]

    def ffn(x, p):
        a, b = matvec(T[p + ".gate_proj.weight"], x), matvec(T[p + ".up_proj.weight"], x)
        return matvec(T[p + ".down_proj.weight"], [u * sig(u) * z for u, z in zip(a, b)])

    def turn(vec, pos):
        vec = list(vec)
        for j in range(rot // 2):
            ang = pos / c["rope_theta"] ** (2 * j / rot)
            x, y = vec[j], vec[j + rot // 2]
            vec[j] = x * math.cos(ang) - y * math.sin(ang)
            vec[j + rot // 2] = y * math.cos(ang) + x * math.sin(ang)
        return vec

    def slope(h):
        n = NH
        p2 = 1 << (n.bit_length() - 1)
        if h < p2:
            return 2.0 ** (-(8.0 / p2) * (h + 1))
        return 2.0 ** (-(8.0 / (2 * p2)) * (2 * (h - p2) + 1))

    states = [[[[0.0] * D for _ in range(D)] for _ in range(NH)] for _ in range(L)]
    ks, vs = [[] for _ in range(L)], [[] for _ in range(L)]
    result = []
    for pos, tok in enumerate(tokens):
        h = list(T["model.word_embeddings.weight"][tok])
        for l in range(L):
            p = f"model.layers.{l}"
            x = norm(h, T[p + ".input_layernorm.weight"])
            y = matvec(T[p + ".attention.query_key_value.weight"], x)
            soft = (l + 1) % G == 0 or l >= (L // G) * G
            nk = NK if soft else NH
            cut = lambda i: y[i * D:(i + 1) * D]
            q = [turn(norm(cut(i), T[p + ".attention.query_layernorm.weight"]), pos) for i in range(NH)]
            k = [turn(norm(cut(NH + i), T[p + ".attention.key_layernorm.weight"]), pos) for i in range(nk)]
            v = [cut(NH + nk + i) for i in range(nk)]
            o = []
            if soft:
                ks[l].append(k)
                vs[l].append(v)
                for i in range(NH):
                    j = i // (NH // NK)
                    s = [sum(a * b for a, b in zip(q[i], kk[j])) / math.sqrt(D) for kk in ks[l]]
                    m = max(s)
                    e = [math.exp(z - m) for z in s]
                    tot = sum(e)
                    o += [sum(e[t] / tot * vs[l][t][j][d] for t in range(len(e))) for d in range(D)]
            else:
                depth = {"serving": l, "hf": l - 1, "mlx": max(0, l - 1)}[decay] / (L - 1)
                for i in range(NH):
                    keep = math.exp(-slope(i) * (1 - depth + 1e-5))
                    S = states[l][i]
                    for a in range(D):
                        for b in range(D):
                            S[a][b] = keep * S[a][b] + k[i][a] * v[i][b]
                    o += [sum(q[i][a] * S[a][b] for a in range(D)) / math.sqrt(D) for b in range(D)]
                groups, width = c["group_norm_size"], NH * D // c["group_norm_size"]
                n = []
                for gidx in range(groups):
                    n += norm(o[gidx * width:(gidx + 1) * width],
                              T[p + ".attention.g_norm.weight"][gidx * width:(gidx + 1) * width])
                gate = matvec(T[p + ".attention.g_proj.weight"], x)
                o = [a * sig(b) for a, b in zip(n, gate)]
            h = [a + b for a, b in zip(h, matvec(T[p + ".attention.dense.weight"], o))]
            x = norm(h, T[p + ".post_attention_layernorm.weight"])
            if l < c["first_k_dense_replace"]:
                m = ffn(x, p + ".mlp")
            else:
                s = [sig(z) for z in matvec(T[p + ".mlp.gate.weight"], x)]
                b = [u + z for u, z in zip(s, T[p + ".mlp.gate.expert_bias"])]
                E, ng = c["num_experts"], max(c["n_group"], 1)
                allowed = list(range(E))
                if ng > 1:
                    per = E // ng
                    mark = [sum(sorted(b[gi * per:(gi + 1) * per])[-2:]) for gi in range(ng)]
                    good = sorted(range(ng), key=lambda gi: (-mark[gi], gi))[:c["topk_group"]]
                    allowed = [e for e in range(E) if e // per in good]
                pick = sorted(allowed, key=lambda e: (-b[e], e))[:c["num_experts_per_tok"]]
                tot = sum(s[e] for e in pick)
                m = ffn(x, p + ".mlp.shared_experts")
                for e in pick:
                    wgt = s[e] / (tot + 1e-20) * c["routed_scaling_factor"]
                    m = [a + wgt * z for a, z in zip(m, ffn(x, f"{p}.mlp.experts.{e}"))]
            h = [a + b for a, b in zip(h, m)]
        f = norm(h, T["model.norm.weight"])
        result.append(matvec(T["model.word_embeddings.weight" if c["tie_word_embeddings"] else "lm_head.weight"], f))
    return np.array(result)


def selfcheck(workdir):
    rng = np.random.default_rng(0)
    passed = []

    def ok(name, value, limit):
        if not value <= limit:
            raise AssertionError(f"{name}: {value} > {limit}")
        passed.append((name, value))
        print(f"  ok  {name:58s} {value:.3g}")

    # linear attention: three forms, with and without an incoming state, several chunk sizes
    H, D = 6, 12
    worst = 0.0
    for T in (1, 2, 17, 64, 130):
        for with_state in (False, True):
            q, k, v = rng.standard_normal((3, T, H, D))
            g = -alibi_slopes(H) * rng.uniform(0.05, 1.05)
            S0 = rng.standard_normal((H, D, D)) if with_state else np.zeros((H, D, D))
            o, S = linear_recurrent(q, k, v, g, D ** -0.5, S0)
            runs = [linear_quadratic(q, k, v, g, D ** -0.5, S0)]
            runs += [linear_chunked(q, k, v, g, D ** -0.5, S0, c) for c in (1, 3, 16, 64, 1000)]
            worst = max([worst] + [max(np.abs(o - a).max(), np.abs(S - b).max()) for a, b in runs])
    ok("linear: recurrent == chunked == quadratic", worst, 1e-11)
    q, k, v = rng.standard_normal((3, 40, H, D))
    g = -alibi_slopes(H)
    whole, S_end = linear_chunked(q, k, v, g, 1.0, np.zeros((H, D, D)), 16)
    a, S1 = linear_recurrent(q[:13], k[:13], v[:13], g, 1.0, np.zeros((H, D, D)))
    b, S2 = linear_chunked(q[13:], k[13:], v[13:], g, 1.0, S1, 5)
    ok("linear: split prefill carries the state", max(np.abs(np.concatenate([a, b]) - whole).max(), np.abs(S2 - S_end).max()), 1e-11)
    explicit = np.zeros_like(whole)
    for t in range(40):
        for s in range(t + 1):
            explicit[t] += (np.sum(q[t] * k[s], axis=-1) * np.exp(g * (t - s)))[:, None] * v[s]
    ok("linear: own token is not decayed, lag n decays n times", np.abs(explicit - whole).max(), 1e-11)

    # slopes
    ok("slopes: 16 heads are 2^(-(h+1)/2)", np.abs(alibi_slopes(16) - 2.0 ** (-0.5 * np.arange(1, 17))).max(), 1e-15)
    ok("slopes: 32 heads are 2^(-(h+1)/4)", np.abs(alibi_slopes(32) - 2.0 ** (-0.25 * np.arange(1, 33))).max(), 1e-15)
    ok("slopes: 6 heads = 4 + every other of 8",
       np.abs(alibi_slopes(6) - np.array([2.0 ** -2, 2.0 ** -4, 2.0 ** -6, 2.0 ** -8, 2.0 ** -1, 2.0 ** -3])).max(), 1e-15)
    ok("decay: 'hf' at layer l+1 equals 'serving' at layer l",
       max(abs(layer_factor(l + 1, 20, "hf") - layer_factor(l, 20, "serving")) for l in range(19)), 0.0)

    # rope
    cfg = Config(dict(TINY))
    inv, att = rope_tables(cfg)
    x, y = rng.standard_normal((2, 1, 3, cfg.head_dim))
    dots = [np.sum(rope(x, np.array([p + 5.0]), inv, att) * rope(y, np.array([p * 1.0]), inv, att)) for p in (0, 7, 900)]
    ok("rope: product depends on the distance only", max(dots) - min(dots), 1e-11)
    ok("rope: channels past rotary_dim are untouched",
       np.abs(rope(x, np.array([9.0]), inv, att) - x)[..., cfg.rotary_dim:].max(), 0.0)
    one = Config(dict(TINY, rope_scaling={"type": "yarn", "factor": 1.0, "original_max_position_embeddings": 4096}))
    ok("yarn: factor 1 is plain rope", max(np.abs(rope_tables(one)[0] - inv).max(), abs(rope_tables(one)[1] - 1)), 1e-18)
    four = Config(dict(MINI, rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 131072}))
    i4, a4 = rope_tables(four)
    i1, _ = rope_tables(Config(MINI))
    ok("yarn: fastest channels kept, slowest divided by 4",
       max(abs(i4[0] / i1[0] - 1), abs(i4[-1] / i1[-1] - 0.25)), 1e-12)
    ok("yarn: cos/sin factor is 1 + 0.1 ln 4", abs(a4 - (1 + 0.1 * math.log(4))), 1e-15)

    # group norm and router
    z = rng.standard_normal((3, 8)) * np.array([1, 1, 1, 1, 100, 100, 100, 100.0])
    n = group_rms_norm(z, np.ones(8), 2, 0.0)
    ok("group norm: each group has unit RMS", np.abs(np.mean(n.reshape(3, 2, 4) ** 2, axis=-1) - 1).max(), 1e-12)
    bad = 0
    rcfg = Config(dict(MINI, num_experts=32, num_experts_per_tok=6, n_group=8, topk_group=3))
    for _ in range(200):
        lg, bs = rng.standard_normal((1, 32)), 0.3 * rng.standard_normal(32)
        ids, wt = route(rcfg, lg, bs)
        s = 1 / (1 + np.exp(-lg[0]))
        sel = s + bs
        marks = [sum(sorted(sel[4 * j:4 * j + 4])[-2:]) for j in range(8)]
        good = set(sorted(range(8), key=lambda j: -marks[j])[:3])
        want = sorted((e for e in range(32) if e // 4 in good), key=lambda e: -sel[e])[:6]
        ww = s[want] / s[want].sum() * 2.5
        bad += list(ids[0]) != want or np.abs(wt[0] - ww).max() > 1e-12
    ok("router: 200 random cases against a plain sort", bad, 0)
    gone = route(rcfg, np.full((1, 32), -8.0), np.where(np.arange(32) < 24, -50.0, -9.0))[0]
    ok("router: masked groups stay out when every score is negative", int((gone < 16).sum()), 0)

    # storage
    vals = rng.standard_normal(5000) * np.exp(rng.uniform(-12, 8, 5000))
    back = e4m3_decode(e4m3_encode(np.clip(vals, -448, 448)))
    best = np.array([_E4M3_POS[np.argmin(np.abs(_E4M3_POS - abs(t)))] for t in np.clip(vals, -448, 448)])
    ok("fp8: encode picks a nearest value", np.abs(np.abs(back - np.clip(vals, -448, 448)) - np.abs(best - np.abs(np.clip(vals, -448, 448)))).max(), 0.0)
    finite = np.array([c for c in range(256) if not np.isnan(E4M3[c])])
    ok("fp8: every finite code survives a round trip", int((e4m3_encode(E4M3[finite]) != finite).sum()), 0)
    ok("fp8: largest value is 448", abs(np.nanmax(E4M3) - 448), 0.0)
    u = rng.integers(0, 0x7F80, 4000).astype(np.uint16)
    ok("bf16: every finite code survives a round trip", int((bf16_encode(bf16_decode(u)) != u).sum()), 0)
    tie = np.array([1 + 2 ** -8, 1 + 3 * 2 ** -8], dtype=np.float32)
    ok("bf16: ties go to even", np.abs(bf16_decode(bf16_encode(tie)) - np.array([1.0, 1 + 2 ** -6])).max(), 0.0)

    # inventory of the real models (published totals: 16.4B / 1.6B / 957M; 104.2B / 7.4B / 6.1B)
    acc = accounting(Config(MINI))
    ok("mini: 14845 tensors", abs(acc["tensors"] - 14845), 0)
    ok("mini: total 16.4B, active 1.6B, active without embeddings 957M",
       max(abs(acc["total"] / 16.4e9 - 1), abs(acc["active"] / 1.6e9 - 1), abs(acc["active_body"] / 957e6 - 1)), 0.004)
    acc = accounting(Config(FLASH))
    ok("flash: total 104.2B, active 7.4B",
       max(abs(acc["total"] / 104.2e9 - 1), abs(acc["active"] / 7.4e9 - 1)), 0.007)

    # whole models
    for variant in VARIANTS:
        d = os.path.join(workdir, variant)
        make_tiny(d, 7, variant)
        for decay in DECAY_CONVENTIONS:
            m = Model(d, decay=decay, chunk=7)
            toks = parse_tokens("random:23:3", m.cfg.vocab)
            full, _, _, _, diffs = agreement(m, toks)
            alt = [Model(m.ck, decay=decay, linear=f).forward(toks) for f in ("recurrent", "quadratic")]
            ok(f"{variant}/{decay}: prefill == decode == split",
               max(list(diffs.values()) + [np.abs(full - a).max() for a in alt]), 1e-9)
        if not np.isfinite(full).all() or np.abs(full).max() < 1e-3:
            raise AssertionError("degenerate logits")
    m = {d: Model(os.path.join(workdir, "base"), decay=d).forward(parse_tokens("random:23:3", 512)) for d in DECAY_CONVENTIONS}
    ok("base: the decay conventions do differ", -min(np.abs(m["serving"] - m["hf"]).max(), np.abs(m["hf"] - m["mlx"]).max()), -1e-3)

    # an implementation that shares nothing but the reader
    small = {"hidden_size": 24, "intermediate_size": 20, "vocab_size": 40, "num_experts": 8, "num_experts_per_tok": 3,
             "n_group": 4, "topk_group": 2, "moe_intermediate_size": 12, "moe_shared_expert_intermediate_size": 12,
             "rope_theta": 10000, "eos_token_id": 38, "pad_token_id": 38}
    cases = {
        "pow2": dict(small, num_hidden_layers=6, layer_group_size=3, num_attention_heads=4, num_key_value_heads=2,
                     head_dim=8, group_norm_size=2),
        "odd": dict(small, num_hidden_layers=5, layer_group_size=3, num_attention_heads=6, num_key_value_heads=2,
                    head_dim=4, group_norm_size=3, n_group=1, topk_group=1, tie_word_embeddings=True,
                    first_k_dense_replace=2),
    }
    for name, over in cases.items():
        d = os.path.join(workdir, "scalar-" + name)
        make_tiny(d, 11, "base", over)
        for decay in DECAY_CONVENTIONS:
            m = Model(d, decay=decay)
            toks = parse_tokens("random:9:5", 40)
            ok(f"scalar implementation agrees ({name}/{decay})",
               np.abs(m.forward(toks) - scalar_forward(m.ck, toks, decay)).max(), 1e-10)
    print(f"{len(passed)} checks passed")


# --------------------------------------------------------------------------
# 9. accounting
# --------------------------------------------------------------------------


def accounting(cfg):
    by, count = {}, 0
    for _, shape, role in expected_tensors(cfg):
        by[role] = by.get(role, 0) + int(np.prod(shape, dtype=np.int64))
        count += 1
    total = sum(by.values())
    idle = by.get("expert", 0) * (1 - cfg.top_k / cfg.experts) if cfg.experts else 0
    active = total - int(round(idle))
    head = by.get("embedding", 0) + by.get("lm-head", 0)
    n_lin = sum(not cfg.is_softmax(i) for i in range(cfg.layers))
    n_soft = cfg.layers - n_lin
    return {
        "tensors": count, "by_role": by, "total": total, "active": active, "active_body": active - head,
        # read per decoded token: everything active, but one row of the embedding only
        "read_per_token": active - by.get("embedding", 0) + cfg.hidden,
        "linear_layers": n_lin, "softmax_layers": n_soft,
        "state_values": cfg.heads * cfg.head_dim * cfg.head_dim,
        "kv_values_per_token": 2 * cfg.kv_heads * cfg.head_dim,
    }


def print_accounting(cfg):
    a = accounting(cfg)
    print(f"tensors                 {a['tensors']}")
    for role, n in a["by_role"].items():
        used = n * cfg.top_k // cfg.experts if role == "expert" else n
        print(f"  {role:20s} {n:>16,d}   active {used:>14,d}")
    for key in ("total", "active", "active_body", "read_per_token"):
        print(f"{key:23s} {a[key]:>16,d}")
    s, kv = a["state_values"], a["kv_values_per_token"]
    print(f"linear layers {a['linear_layers']}, state {s * 4} B each in f32, {s * 4 * a['linear_layers']} B in all")
    print(f"softmax layers {a['softmax_layers']}, KV {kv * 2} B per token and layer in bf16, "
          f"{kv * 2 * a['softmax_layers']} B in all")


def load_config_arg(args):
    if args.config:
        with open(args.config) as f:
            return Config(json.load(f))
    return Config(PRESETS[args.preset])


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="cmd", required=True)
    p = sub.add_parser("make-tiny")
    p.add_argument("dir")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--variant", choices=list(VARIANTS), default="base")
    p.add_argument("--shards", type=int, default=2)
    p.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="override a config.json key")
    p = sub.add_parser("golden")
    p.add_argument("dir")
    p.add_argument("--tokens", required=True, help="'1,2,3', '@file.json' or 'random:COUNT:SEED'")
    p.add_argument("--out", required=True)
    p.add_argument("--decay", choices=DECAY_CONVENTIONS, default=DEFAULT_DECAY)
    p.add_argument("--chunk", type=int, default=64)
    p.add_argument("--generate", type=int, default=0, metavar="N", help="add N greedy tokens")
    p.add_argument("--digits", type=int, default=0, help="round to this many decimals (0: full precision)")
    p = sub.add_parser("selfcheck")
    p.add_argument("--workdir", help="keep the checkpoints made for the check here")
    for name in ("params", "slopes"):
        p = sub.add_parser(name)
        p.add_argument("config", nargs="?")
        p.add_argument("--preset", choices=list(PRESETS), default="mini")
    p = sub.add_parser("inspect")
    p.add_argument("dir")
    args = ap.parse_args(argv)

    if args.cmd == "make-tiny":
        over = {}
        for item in args.set:
            key, _, value = item.partition("=")
            over[key] = json.loads(value)
        n, size = make_tiny(args.dir, args.seed, args.variant, over, args.shards)
        print(f"{args.dir}: variant {args.variant}, seed {args.seed}, {n} tensors, {size} bytes")
    elif args.cmd == "golden":
        diffs = golden(args.dir, args.tokens, args.out, args.decay, args.chunk, args.generate, args.digits)
        print(f"{args.out}: " + ", ".join(f"{k} {v:.2e}" for k, v in diffs.items()))
    elif args.cmd == "selfcheck":
        if args.workdir:
            selfcheck(args.workdir)
        else:
            import tempfile
            with tempfile.TemporaryDirectory() as d:
                selfcheck(d)
    elif args.cmd == "params":
        print_accounting(load_config_arg(args))
    elif args.cmd == "slopes":
        cfg = load_config_arg(args)
        print("layer  " + "  ".join(f"{c:>10s}" for c in DECAY_CONVENTIONS) + "   (factor on the slopes)")
        for i in range(cfg.layers):
            if not cfg.is_softmax(i):
                print(f"{i:5d}  " + "  ".join(f"{layer_factor(i, cfg.layers, c):10.6f}" for c in DECAY_CONVENTIONS))
        print("slopes", " ".join(f"{s:.6g}" for s in alibi_slopes(cfg.heads)))
    elif args.cmd == "inspect":
        ck = Checkpoint(args.dir)
        for name in ck.where:
            print(f"{ck.dtype(name):8s} {str(list(ck.shape(name))):20s} {name}")


if __name__ == "__main__":
    main()

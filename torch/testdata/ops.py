"""Calls every ATen operator that takes small made-up arguments and writes what it returned to ops.json.

Each line is a case: the operator's name with overload, its required arguments in the order of the
schema (those after the star by name), and its results. A float tensor's element i is ((7i + 3k) mod 11 + 1)/12, an int one's
(i + k) mod 2, a bool one's i even, with k the tensor's place among the arguments, so that the test
makes the same ones. Operators whose result is not a function of their arguments are left out, and
so are those that crash: each is called in a process of its own.
"""
import json
import math
import os
import pickle
import signal
import torch

torch.set_num_threads(1)
RANDOM = ("rand", "dropout", "bernoulli", "normal", "uniform", "multinomial", "exponential", "cauchy", "geometric",
          "poisson", "empty", "resize", "rrelu", "binomial", "gamma", "dirichlet", "seed", "from_file", "_version", "as_strided", "::set_")
DTYPES = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool, "float64": torch.float64}
NAMES = {v: k for k, v in DTYPES.items()}
SHAPES = [[3, 3], [3], [2, 3, 4], [2, 3, 8, 8], [1, 2, 3, 4, 4]]
MOST = 48  # elements of all results


def tensor(shape, dtype, k):
    n = math.prod(shape)
    i = torch.arange(n, dtype=torch.float64)
    if dtype == "bool":
        v = i % 2 == 0
    elif dtype == "int64":
        v = (i + k) % 2
    else:
        v = ((7 * i + 3 * k) % 11 + 1) / 12
    return v.to(DTYPES[dtype]).reshape(shape)


def recipe(arg, k, shape, dtype):
    """One required argument as the JSON that describes it, or None where there is no recipe."""
    kind, name = str(arg.type), arg.name
    if kind in ("Tensor", "Optional[Tensor]"):
        if name in ("index", "indices", "target") and dtype != "bool":
            dtype = "int64"
        if "mask" in name or name == "condition":
            dtype = "bool"
        if name in ("weight", "bias", "running_mean", "running_var", "mean", "var", "save_mean", "save_invstd") and len(shape) > 2:
            shape = [shape[1]]
        return {"tensor": shape, "dtype": dtype, "k": k}
    if kind == "List[Tensor]":
        return {"tensors": [{"tensor": shape, "dtype": dtype, "k": k}, {"tensor": shape, "dtype": dtype, "k": k + 1}]}
    if kind == "int":
        return {"int": 0 if "dim" in name or name == "index" else 1}
    if kind == "List[int]":
        n = arg.N or (len(shape) if "size" in name or "shape" in name else 1)
        return {"ints": [0] if "dim" in name else shape if "size" in name or "shape" in name and arg.N is None else [1] * n}
    if kind == "number":
        return {"float": 0.5}
    if kind == "float":
        return {"float": 0.25}
    if kind == "bool":
        return {"bool": True}
    return None


def build(r):
    if "tensor" in r:
        return tensor(r["tensor"], r["dtype"], r["k"])
    if "tensors" in r:
        return [build(t) for t in r["tensors"]]
    return next(v for k, v in r.items() if k != "name")


def describe(v, room):
    if isinstance(v, torch.Tensor):
        if v.dtype not in NAMES or v.layout != torch.strided:
            raise ValueError("no plain tensor")
        values = v.detach().double().flatten().tolist()
        room[0] -= len(values)
        return {"tensor": list(v.shape), "dtype": NAMES[v.dtype],
                "values": [str(x) if not math.isfinite(x) else float(f"{x:.9g}") for x in values]}
    if isinstance(v, bool):
        return {"bool": v}
    if isinstance(v, int):
        return {"int": v}
    if isinstance(v, float):
        return {"float": v if math.isfinite(v) else str(v)}
    if isinstance(v, (list, tuple)):
        return {"list": [describe(x, room) for x in v]}
    if v is None:
        return {}
    raise ValueError(type(v))


def attempt(schema):
    op = getattr(getattr(torch.ops.aten, schema.name[6:]), schema.overload_name or "default")
    for dtype in ("float32", "int64", "bool"):
        for shape in SHAPES:
            args, named, k = [], {}, 0
            for a in schema.arguments:
                if a.has_default_value():
                    continue
                r = recipe(a, k, shape, dtype)
                if r is None:
                    return None
                k += 1
                args.append(r)
                if a.kwarg_only:
                    r["name"] = a.name
                    named[a.name] = build(r)
            try:
                outs = []
                for seed in (1, 2):
                    torch.manual_seed(seed)
                    plain = [build(r) for r, a in zip(args, [a for a in schema.arguments if not a.has_default_value()]) if not a.kwarg_only]
                    out = op(*plain, **named)
                    out = list(out) if isinstance(out, tuple) else [] if out is None else [out]
                    room = [MOST]
                    outs.append([describe(v, room) for v in out])
                if outs[0] == outs[1] and outs[0] and room[0] >= 0:
                    return {"op": schema.name + ("." + schema.overload_name if schema.overload_name else ""), "args": args, "results": outs[0]}
            except Exception:
                pass
    return None


def in_a_process(schema):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        os.close(r)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
        with os.fdopen(w, "wb") as f:
            pickle.dump(attempt(schema), f)
        os._exit(0)
    os.close(w)
    with os.fdopen(r, "rb") as f:
        data = f.read()
    os.waitpid(pid, 0)
    return pickle.loads(data) if data else None


def main():
    schemas = [s for s in torch._C._jit_get_all_schemas() if s.name.startswith("aten::") and not s.overload_name.endswith("out")
               and not any(r in s.name for r in RANDOM) and "quantiz" not in s.name and "mkldnn" not in s.name and "_cudnn" not in s.name]
    cases = []
    for s in sorted({s.name + "." + s.overload_name: s for s in schemas}.values(), key=lambda s: s.name + "." + s.overload_name):
        try:
            getattr(getattr(torch.ops.aten, s.name[6:]), s.overload_name or "default")
        except Exception:
            continue
        c = in_a_process(s)
        if c:
            cases.append(c)
    with open("ops.json", "w") as f:
        f.write(f"// PyTorch {torch.__version__}, by ops.py\n")
        for c in cases:
            f.write(json.dumps(c, separators=(",", ":")) + "\n")
    print(len(cases), "cases")


main()

#!/usr/bin/env bash
# Packs llama.cpp's libraries with its Vulkan back-end (or, with `cpu`, those for CPUs) for an x86-64 Linux machine without network,
# as node-llama-cpp's packages have them. Run on such a system, in the project root. Writes .llama-kit/libraries.tar.xz (about
# 8 MB), kept out of git.
set -euo pipefail
kit=$PWD/.llama-kit
[ "${1:-vulkan}" = cpu ] && package=@node-llama-cpp/linux-x64@3.22.1 || package=@node-llama-cpp/linux-x64-vulkan@3.22.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "$package" >/dev/null
tar -xzf ./*.tgz --strip-components=3 --wildcards 'package/bins/*/lib*.so'
# Of the CPU's variants, which look up embeddings only: the plainest, and those of the servers that GPUs are in.
mkdir -p libraries/runtime
cp libllama.*.so libggml.*.so libggml-base.so libggml-cpu-{x64,haswell,alderlake,skylakex,sapphirerapids,zen4}.so libraries
[ ! -e libggml-vulkan.so ] || cp libggml-vulkan.so libraries
# For machines that lack them, by LD_LIBRARY_PATH=…/runtime.
for name in libstdc++.so.6 libgcc_s.so.1; do
  cp -L "$(ldconfig -p | awk -v name="$name" '$1 == name && /x86-64/ { print $NF; exit }')" libraries/runtime
done
mkdir -p "$kit"
tar -C libraries -cf - . | xz -T0 -6 >"$kit/libraries.tar.xz"
ls -l "$kit/libraries.tar.xz"

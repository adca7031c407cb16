/** Reading a buffer without awaiting it, as Deno's own WebGPU allows. */

/** Gives a mapped buffer's first bytes at once, or throws. On the way it calls `submit`, once nothing that is submitted there is waited for. */
export type ReadNow = (buffer: GPUBuffer, bytes: number, submit?: () => void) => ArrayBuffer;

/**
 * Deno's mapAsync() polls the device on the calling thread until the GPU is idle, and only then sleeps 10 ms before its
 * promise resolves (ext/webgpu/buffer.rs, Deno 2.9). The data are there when the call returns, and a buffer that was mapped and unmapped
 * once before lets itself be read.
 */
export function readMapped(buffer: GPUBuffer, bytes: number, submit = () => {}): ArrayBuffer {
  buffer.mapAsync(GPUMapMode.READ).catch(() => {});
  submit();
  const copy = buffer.getMappedRange(0, bytes).slice(0);
  buffer.unmap();
  return copy;
}

/** Functions that the C library calls: a few for all calls, told apart by a number that it hands through. */
import { CALLBACKS, ENUMS, STRUCTS } from "./webgpu_h.ts";

type Callbacks = typeof CALLBACKS;
export type CallbackName = keyof Callbacks;

/** Status or reason, what was asked for, and a message. Which callback has which of them its header says. */
export type Handler = (status: number, handle: Deno.PointerValue, message: string) => void;

const { fields, size } = STRUCTS.RequestAdapterCallbackInfo;

/** Callbacks of one instance, all called within calls of ours on this thread. */
export class CallbackTable implements Disposable {
  readonly #callbacks = new Map<CallbackName, { close(): void; readonly pointer: Deno.PointerObject }>();
  readonly #handlers = new Map<number, Handler>();
  readonly #infos = new Map<CallbackName, Uint8Array<ArrayBuffer>>();
  #next = 1;

  /** Whoever is called with the number that this returns, until it is forgotten. */
  register(handler: Handler): number {
    this.#handlers.set(this.#next, handler);
    return this.#next++;
  }

  forget(id: number): void {
    this.#handlers.delete(id);
  }

  /** The C function of a callback. */
  pointer(name: CallbackName): Deno.PointerObject {
    const known = this.#callbacks.get(name) ?? this.#create(name);
    this.#callbacks.set(name, known);
    return known.pointer;
  }

  /** What a call takes by value that a registered handler is to hear of; good until the next of this name. */
  info(name: CallbackName, id: number): Uint8Array<ArrayBuffer> {
    const info = this.#infos.get(name) ?? this.#newInfo(name);
    new DataView(info.buffer).setUint32(fields.userdata1[0], id, true);
    return info;
  }

  /** For a call that calls back before it returns. */
  now(name: CallbackName, call: (info: Uint8Array<ArrayBuffer>) => void): Parameters<Handler> {
    let heard: Parameters<Handler> | null = null;
    const id = this.register((...all) => heard = all);
    try {
      call(this.info(name, id));
    } finally {
      this.forget(id);
    }
    return heard ?? [0, null, "it was not answered"];
  }

  /** After this the library must not call any more. */
  [Symbol.dispose](): void {
    for (const callback of this.#callbacks.values()) callback.close();
    this.#callbacks.clear();
    this.#handlers.clear();
  }

  #newInfo(name: CallbackName): Uint8Array<ArrayBuffer> {
    const info = new Uint8Array(size);
    const view = new DataView(info.buffer);
    view.setUint32(fields.mode[0], ENUMS.CallbackMode.AllowSpontaneous, true);
    view.setBigUint64(fields.callback[0], Deno.UnsafePointer.value(this.pointer(name)), true);
    this.#infos.set(name, info);
    return info;
  }

  #create(name: CallbackName): { close(): void; readonly pointer: Deno.PointerObject } {
    const call = (
      status: number,
      handle: Deno.PointerValue,
      message: Uint8Array<ArrayBuffer>,
      id: Deno.PointerValue,
    ) => this.#handlers.get(Number(Deno.UnsafePointer.value(id)))?.(status, handle, textOf(message));
    switch (name) {
      case "RequestAdapterCallback":
      case "RequestDeviceCallback":
        return new Deno.UnsafeCallback(CALLBACKS[name], call);
      case "BufferMapCallback":
      case "QueueWorkDoneCallback":
        return new Deno.UnsafeCallback(CALLBACKS[name], (status, message, id) => call(status, null, message, id));
      case "LogCallback":
        return new Deno.UnsafeCallback(CALLBACKS[name], (level, message, id) => call(level, null, message, id));
      case "UncapturedErrorCallback":
      case "DeviceLostCallback":
        return new Deno.UnsafeCallback(CALLBACKS[name], (_, type, message, id) => call(type, null, message, id));
      default:
        return name satisfies never;
    }
  }
}

/** The text of a string view, which the library keeps only for the time of the call. */
export function textOf(view: Uint8Array<ArrayBuffer>): string {
  const words = new DataView(view.buffer, view.byteOffset, 16);
  return textAt(words.getBigUint64(0, true), Number(words.getBigUint64(8, true)));
}

/** The text of so many bytes at an address. */
export function textAt(address: bigint, bytes: number): string {
  const pointer = Deno.UnsafePointer.create(address);
  if (pointer === null || bytes === 0) return "";
  return new TextDecoder().decode(Deno.UnsafePointerView.getArrayBuffer(pointer, bytes));
}

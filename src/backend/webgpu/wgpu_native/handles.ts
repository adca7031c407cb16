/** Objects of the C library that are ours to release, each once. */

type Release = (pointer: Deno.PointerValue) => void;

/** One object of the C library; null once it is released, and for what was made on a lost device. */
export class Handle {
  pointer: Deno.PointerValue;
  readonly #release: Release;
  readonly #owner: Handles;

  constructor(pointer: Deno.PointerValue, release: Release, owner: Handles) {
    this.pointer = pointer;
    this.#release = release;
    this.#owner = owner;
  }

  /** Does nothing the second time. */
  release(): void {
    const { pointer } = this;
    if (pointer === null) return;
    this.pointer = null;
    this.#owner.forget(this);
    this.#release(pointer);
  }
}

/** What is called for wrappers that nobody has any more. */
const abandoned = new FinalizationRegistry<Handle>((handle) => handle.release());

/** All handles of one owner. */
export class Handles {
  readonly #live = new Set<Handle>();

  /** Handles that are not released. */
  get count(): number {
    return this.#live.size;
  }

  /** Releases the object when nobody has the wrapper any more, if nobody did it before. */
  adopt(wrapper: object, pointer: Deno.PointerValue, release: Release): Handle {
    const handle = new Handle(pointer, release, this);
    if (pointer === null) return handle;
    this.#live.add(handle);
    abandoned.register(wrapper, handle, handle);
    return handle;
  }

  forget(handle: Handle): void {
    this.#live.delete(handle);
    abandoned.unregister(handle);
  }

  releaseAll(): void {
    for (const handle of [...this.#live]) handle.release();
  }
}

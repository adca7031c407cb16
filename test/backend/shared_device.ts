/** One GPU device for many backends: a kernel that several of them compile is compiled once, which takes longer than most tests. */

/** A text by its label and as it was written; what is compiled in its place. */
export type Change = (label: string, code: string) => string;

export class SharedDevice {
  readonly #device: GPUDevice;
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #pipelines = new Map<GPUShaderModule, GPUComputePipeline>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** The device as a backend of its own sees it: once it is destroyed, its buffers are. It may have fewer features than there are. */
  view(change: Change = (_, code) => code, features: GPUSupportedFeatures = this.#device.features): GPUDevice {
    const device = this.#device;
    const buffers: GPUBuffer[] = [];
    const own: Partial<GPUDevice> = {
      features,
      createShaderModule: ({ label = "", code }) => this.#module(label, change(label, code)),
      createComputePipeline: (wanted) => this.#pipeline(wanted),
      createBuffer: (wanted) => {
        const buffer = device.createBuffer(wanted);
        buffers.push(buffer);
        return buffer;
      },
      destroy: () => {
        for (const buffer of buffers.splice(0)) buffer.destroy();
      },
    };
    return new Proxy(device, {
      get: (_, key) => {
        if (key in own) return own[key as keyof GPUDevice];
        const value: unknown = Reflect.get(device, key, device);
        return typeof value === "function" ? value.bind(device) : value;
      },
    });
  }

  #module(label: string, code: string): GPUShaderModule {
    let module = this.#modules.get(code);
    if (!module) this.#modules.set(code, module = this.#device.createShaderModule({ label, code }));
    return module;
  }

  /** All of its layout is in its text. */
  #pipeline(wanted: GPUComputePipelineDescriptor): GPUComputePipeline {
    const { module } = wanted.compute;
    let pipeline = this.#pipelines.get(module);
    if (!pipeline) this.#pipelines.set(module, pipeline = this.#device.createComputePipeline(wanted));
    return pipeline;
  }

  /** Destroys the device itself. */
  [Symbol.dispose](): void {
    this.#device.destroy();
  }
}

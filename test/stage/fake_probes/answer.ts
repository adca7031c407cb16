/** A probe that prints what it was asked, as the driver prints, too: `{}` for wasm, else figures. */
const [computer, threads] = Deno.args;
const figures = {
  ...{ device: computer, identity: `${computer}`, hardware: false, features: [`${threads} threads`] },
  ...{ roundTripMillis: 1, recordMicros: 2, dispatchMicros: 3, bandwidth: 4, flops: 5, matrixFlops: null },
};
await Deno.stdout.write(
  new TextEncoder().encode(`a driver's note\n${JSON.stringify(computer === "wasm" ? {} : figures)}\n`),
);

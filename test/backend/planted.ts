/** An error to plant in a kernel's text. */

/** In the kernel of that name, `right` becomes `wrong`; then one of the cases whose names match must fail. */
export interface Planted {
  readonly kernel: string;
  readonly right: string;
  readonly wrong: string;
  readonly cases: RegExp;
}

export const plant = (kernel: string, right: string, wrong: string, cases: RegExp): Planted => ({
  kernel,
  right,
  wrong,
  cases,
});

import assert from "node:assert/strict";
import { alibiSlopes, logDecay } from "../../src/model/decay.ts";
import type { DecayConvention } from "../../src/pipeline/messages.ts";
import { parseConfig } from "../../src/model/config.ts";
import { FLASH, mini } from "./configs.ts";

/** The goldens are numpy's, in float64. */
function assertClose(actual: ArrayLike<number>, expected: readonly number[], what: string): void {
  assert.equal(actual.length, expected.length, what);
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(actual[i]! - value) <= 1e-14 * Math.abs(value), `${what} [${i}]: ${actual[i]}, not ${value}`);
  }
}

Deno.test("alibiSlopes() is the ALiBi series, for head counts that are no power of two as well", () => {
  assertClose(alibiSlopes(1), [0.00390625], "1");
  assertClose(alibiSlopes(4), [0.25, 0.0625, 0.015625, 0.00390625], "4");
  assertClose(alibiSlopes(6), [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125], "6");
  const sixteen = Array.from({ length: 16 }, (_, head) => Math.SQRT1_2 ** (head + 1));
  assertClose(alibiSlopes(16), sixteen, "16");
  const between = [0.8408964152537145, 0.5946035575013604, 0.4204482076268572, 0.29730177875068015];
  assertClose(alibiSlopes(20), [...sixteen, ...between], "20");
});

/** Mini, heads 0, 7 and 15 (spec c.5). */
const GOLDEN: Readonly<Record<DecayConvention, Readonly<Record<number, readonly number[]>>>> = {
  serving: {
    0: [-0.7071138522543595, -0.06250062500000003, -0.003906289062500005],
    1: [-0.6698977058761201, -0.0592111513157895, -0.003700696957236846],
    8: [-0.4093846812284447, -0.0361848355263158, -0.0022615522203947394],
    13: [-0.22330394933724793, -0.019737467105263168, -0.0012335916940789486],
    18: [-0.03722321744605125, -0.003290098684210531, -0.00020563116776315833],
  },
  hf: {
    0: [-0.7443299986325987, -0.06579009868421055, -0.004111881167763162],
    1: [-0.7071138522543595, -0.06250062500000003, -0.003906289062500005],
    8: [-0.44660082760668396, -0.03947430921052633, -0.002467144325657897],
    13: [-0.26052009571548734, -0.023026940789473697, -0.001439183799342107],
    18: [-0.07443936382429055, -0.006579572368421055, -0.0004112232730263162],
  },
  mlx: {
    0: [-0.7071138522543595, -0.06250062500000003, -0.003906289062500005],
    1: [-0.7071138522543595, -0.06250062500000003, -0.003906289062500005],
    8: [-0.44660082760668396, -0.03947430921052633, -0.002467144325657897],
    13: [-0.26052009571548734, -0.023026940789473697, -0.001439183799342107],
    18: [-0.07443936382429055, -0.006579572368421055, -0.0004112232730263162],
  },
};

for (const [convention, layers] of Object.entries(GOLDEN)) {
  Deno.test(`logDecay() follows the ${convention} convention`, () => {
    for (const [layer, expected] of Object.entries(layers)) {
      const decay = logDecay(mini(), Number(layer), convention as DecayConvention);
      assert.equal(decay.length, 16);
      assertClose([decay[0]!, decay[7]!, decay[15]!], expected, `layer ${layer}`);
    }
  });
}

Deno.test("logDecay() is right for flash, and for a model of one layer", () => {
  assertClose([logDecay(parseConfig(FLASH), 30, "serving")[31]!], [-0.00012604712701612874], "flash");
  const one = logDecay(mini({ num_hidden_layers: 1 }), 0, "hf");
  assertClose([one[0]!, one[1]!], [-0.7071138522543595, -0.5000050000000001], "one layer");
});

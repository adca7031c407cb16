/** Which routes there should be through the stages that are there. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import { missingLayers, nextChain, type Ranged } from "../../src/pool/chains.ts";

/** `A:0-9` */
function stages(...texts: readonly string[]): Ranged[] {
  return texts.map((text) => {
    const [, id, first, last] = /^(\w+):(\d+)-(\d+)$/.exec(text)!;
    return { id: id!, layers: { start: Number(first), end: Number(last) + 1 } };
  });
}

/** Chains that are made one after the other until there is none to make. */
function chainsOf(all: readonly Ranged[], layers: number, chains: string[][] = []): string[][] {
  for (;;) {
    const next = nextChain(all, chains, layers);
    if (next === null) return chains;
    chains = [...chains, next.map(({ id }) => id)];
    assert.ok(chains.length <= all.length, "more chains than stages");
  }
}

Deno.test("nextChain() makes a chain through each stage, and shares those that are fewer", () => {
  const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
    [["A:0-9"], ["A"]],
    [["A:0-4", "B:5-9"], ["AB"]],
    [["B:5-9", "A:0-4", "C:5-9"], ["AB", "AC"]],
    [["A:0-4", "B:0-4", "C:5-9", "D:5-9"], ["AC", "BD"]],
    [["A:0-4", "B:0-4", "C:0-4", "D:5-9", "E:5-9"], ["AD", "BE", "CD"]],
    [["A:0-9", "B:0-4", "C:5-9"], ["A", "BC"]], // ranges need not be the same
    [["A:0-2", "B:3-9", "C:0-5", "D:6-9"], ["AB", "CD"]],
    [["A:0-2", "B:3-9", "C:3-5", "D:6-9"], ["AB", "ACD"]],
    [["A:0-4", "B:6-9"], []], // a gap
    [["A:0-5", "B:5-9"], []], // they do not join
    [["A:0-4", "B:5-9", "C:5-8"], ["AB"]], // one that leads nowhere
    [["A:0-4"], []],
    [[], []],
  ];
  for (const [all, chains] of cases) {
    assert.deepEqual(chainsOf(stages(...all), 10).map((chain) => chain.join("")), chains, all.join(" "));
  }
});

Deno.test("nextChain() goes on from the chains that there are, through those with the fewest", () => {
  const all = stages("A:0-4", "B:0-4", "C:5-9", "D:5-9");
  assert.deepEqual(chainsOf(all, 10, [["A", "C"], ["B", "C"]]).at(-1), ["A", "D"]);
  assert.deepEqual(chainsOf(stages("A:0-4", "B:0-4", "C:5-9"), 10, [["A", "gone"]]), [["A", "gone"], ["B", "C"]]);
  const chain = (burdens: readonly (readonly [string, number])[]) =>
    nextChain(all, [], 10, new Map(burdens))!.map(({ id }) => id).join("");
  assert.equal(chain([["C", 1]]), "AD", "others come before what has failed");
  assert.equal(chain([["A", 1], ["C", 2]]), "BD");
});

const range = fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 4 })).filter(([first, last]) => first < last)
  .map(([first, last]) => ({ start: 3 * first, end: 3 * last }));

Deno.test("nextChain() puts each stage on a chain that has all layers once, if there is any", () => {
  let made = 0;
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
      const all = ranges.map((layers, i) => ({ id: `${i}`, layers }));
      const chains = chainsOf(all, 12);
      made += chains.length;
      for (const chain of chains) {
        const covered = chain.map((id) => all[Number(id)]!.layers);
        assert.deepEqual([covered[0]!.start, covered.at(-1)!.end], [0, 12]);
        for (const [i, { start }] of covered.slice(1).entries()) assert.equal(start, covered[i]!.end);
      }
      const reaches = (from: number, to: number): boolean =>
        from === to || ranges.some(({ start, end }) => start === from && end <= to && reaches(end, to));
      for (const { id, layers: { start, end } } of all) {
        assert.equal(chains.some((chain) => chain.includes(id)), reaches(0, start) && reaches(end, 12));
      }
      if (chains.length > 0) assert.deepEqual(missingLayers(all, 12), []);
    }),
    { numRuns: 2000 },
  );
  assert.ok(made > 300, `${made} chains`);
});

Deno.test("missingLayers() tells what nobody has", () => {
  const missing = (...texts: string[]) => missingLayers(stages(...texts), 20).map(({ start, end }) => [start, end]);
  assert.deepEqual(missing(), [[0, 20]]);
  assert.deepEqual(missing("A:0-9"), [[10, 20]]);
  assert.deepEqual(missing("A:15-17", "B:3-9", "C:5-6"), [[0, 3], [10, 15], [18, 20]]);
  assert.deepEqual(missing("A:0-12", "B:5-19"), []);
  assert.deepEqual(missing("A:0-9", "B:10-12", "C:3-4", "D:13-30"), []);
  assert.deepEqual(missing("A:25-30"), [[0, 20]]);
});

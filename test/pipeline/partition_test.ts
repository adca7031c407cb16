/** Dividing layers among stages. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import { parseLayers, parseStage, partition, partitionBySize } from "../../src/pipeline/partition.ts";

Deno.test("partition() covers every layer once, in sizes that differ by one at most", () => {
  const sizes = fc.integer({ min: 1, max: 200 }).chain((layers) =>
    fc.tuple(fc.constant(layers), fc.integer({ min: 1, max: layers }))
  );
  fc.assert(fc.property(sizes, ([layers, stages]) => {
    const ranges = partition(layers, stages);
    const lengths = ranges.map(({ start, end }) => end - start);
    assert.equal(ranges.length, stages);
    assert.deepEqual([0, ...ranges.map(({ end }) => end)], [...ranges.map(({ start }) => start), layers]);
    assert.ok(Math.min(...lengths) >= 1 && Math.max(...lengths) - Math.min(...lengths) <= 1, `${lengths}`);
    assert.ok(lengths.at(-1)! <= lengths[0]!, "the last stage, which has the head, has more layers than the first");
  }));
});

Deno.test("partition() refuses more stages than layers, and none", () => {
  assert.throws(() => partition(20, 21), new RangeError("Cannot divide 20 layers among 21 stages: use 1 to 20 stages"));
  assert.throws(() => partition(20, 0), RangeError);
  assert.throws(() => partition(20, 1.5), RangeError);
});

/** All ways to cut layers into ranges. */
function* cuts(layers: number): Generator<{ start: number; end: number }[]> {
  for (let borders = 0; borders < 2 ** (layers - 1); borders++) {
    const ends = Array.from({ length: layers }, (_, i) => i + 1).filter((end) =>
      end === layers || borders >> (end - 1) & 1
    );
    yield ends.map((end, i) => ({ start: i === 0 ? 0 : ends[i - 1]!, end }));
  }
}

Deno.test("partitionBySize() has as few ranges as any that fit, and of these the largest takes the least", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 9 });
  fc.assert(fc.property(sizes, fc.integer({ min: 1, max: 300 }), fc.integer({ max: 20 }), (sizes, most, each) => {
    const bytesOf = ({ start, end }: { start: number; end: number }) =>
      each + sizes.slice(start, end).reduce((sum, size) => sum + size, 0);
    const largest = (ranges: { start: number; end: number }[]) => Math.max(...ranges.map(bytesOf));
    const fitting = [...cuts(sizes.length)].filter((ranges) => largest(ranges) <= most);
    const fewest = Math.min(...fitting.map(({ length }) => length));
    const ranges = partitionBySize(sizes.length, bytesOf, most);
    if (ranges === null) return assert.deepEqual(fitting, []);
    assert.deepEqual([0, ...ranges.map(({ end }) => end)], [...ranges.map(({ start }) => start), sizes.length]);
    assert.equal(ranges.length, fewest);
    assert.equal(largest(ranges), Math.min(...fitting.filter(({ length }) => length === fewest).map(largest)));
  }));
});

Deno.test("parseLayers() reads what a partition is written as", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), (a, b) => {
    const ranges = partition(Math.max(a, b), Math.min(a, b));
    const text = ranges.map(({ start, end }) => end - start === 1 ? `${start}` : `${start}-${end - 1}`).join(",");
    assert.deepEqual(parseLayers(text, Math.max(a, b)), ranges);
  }));
});

Deno.test("parseLayers() says what is wrong with a division", () => {
  const message = (text: string) => {
    try {
      return parseLayers(text, 20);
    } catch (error) {
      return `${(error as Error).name}: ${(error as Error).message}`;
    }
  };
  assert.equal(
    message("0-9,11-19"),
    'RangeError: Cannot divide the layers as "0-9,11-19": layers 10 to 10 are missing',
  );
  assert.equal(message("1-19"), 'RangeError: Cannot divide the layers as "1-19": layers 0 to 0 are missing');
  assert.equal(message("0-9,9-19"), 'RangeError: Cannot divide the layers as "0-9,9-19": layer 9 is out of order');
  assert.equal(
    message("0-9,10-20"),
    `RangeError: Cannot divide the layers as "0-9,10-20": the model's last layer is 19, not 20`,
  );
  assert.equal(message("0-9"), `RangeError: Cannot divide the layers as "0-9": the model's last layer is 19, not 9`);
  assert.equal(message("9-0"), 'RangeError: Cannot read "9-0" as layers: 0 is less than 9');
  for (const text of ["", "a", "0-9,", "0--9", "-1-5", "0-9;10-19", "0.5-19"]) {
    assert.match(`${message(text)}`, /^SyntaxError: /);
  }
});

Deno.test("parseStage() reads one range, and refuses what the model does not have", () => {
  assert.deepEqual(parseStage("10-19", 20), { start: 10, end: 20 });
  assert.deepEqual(parseStage("3", 20), { start: 3, end: 4 });
  assert.throws(() => parseStage("10-20", 20), /Cannot open layers 10-20: the model has layers 0 to 19/);
  assert.throws(() => parseStage("5-4", 20), /4 is less than 5/);
  assert.throws(() => parseStage("0-3,4-5", 20), SyntaxError);
});

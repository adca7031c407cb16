/** What schemas take and refuse, keyword by keyword, and what is said of those that cannot be used. */
import assert from "node:assert/strict";
import { Automaton, type State } from "../../src/grammar/automaton.ts";
import { schemaGrammar, schemaTaker } from "./vocabulary.ts";

type Case = readonly [schema: unknown, taken: readonly string[], refused: readonly string[]];

function check(cases: readonly Case[], strict = false): void {
  for (const [schema, taken, refused] of cases) {
    const takes = schemaTaker(schema, strict);
    for (const text of taken) assert.ok(takes(text), `${text} for ${JSON.stringify(schema)}`);
    for (const text of refused) assert.ok(!takes(text), `not ${text} for ${JSON.stringify(schema)}`);
  }
}

Deno.test("values of any kind are taken as models write them, and nothing that is no JSON", () => {
  const taken = [
    '{"a": 1, "b": [1, 2]}',
    '{"a":1,"b":[1,2]}',
    '"\\u00e9\\ud83d\\ude00é😀"',
    "-0.5e-3",
    "[]",
    "{}",
    "null",
    '"\u007f"',
  ];
  const refused = [
    "",
    " 1",
    "1 ",
    "01",
    "1.",
    ".5",
    "+1",
    "'a'",
    "{a:1}",
    "[1,]",
    "[1,  2]",
    '{"a" :1}',
    "[\n1]",
    "NaN",
    "tru",
  ];
  check([[true, taken, [...refused, '"\t"', '"\\ud800"', '"\\ud800\\u0041"', '"\\udc00"', '"\\x"', '"\u0000"', '"a']]]);
  for (const text of taken) JSON.parse(text);
});

Deno.test("objects have their members in order, the required ones always", () => {
  const properties = { a: { type: "integer" }, b: { type: "boolean" }, c: { type: "null" } };
  check([
    [
      { properties, required: ["b"] },
      ['{"b":true}', '{"a": 1, "b": false, "c": null}', '{"b":true,"c":null,"d":[1]}'],
      ["{}", '{"a":1}', '{"b":true,"a":1}', '{"b":1}', '{"b":true,"c":1}', '{"b":true,}'],
    ],
    [{ properties, additionalProperties: false }, ["{}", '{"c":null}', '{"a":1,"c":null}'], [
      '{"d":1}',
      '{,"c":null}',
      '{"a":1 ,"c":null}',
    ]],
    [{ type: "object", additionalProperties: { type: "integer" } }, ["{}", '{"x": 1, "y": 2}'], ['{"x":"1"}']],
    [{ type: "object", minProperties: 1, maxProperties: 2 }, ['{"x":1}', '{"x":1,"y":2}'], [
      "{}",
      '{"x":1,"y":2,"z":3}',
    ]],
    [{ type: "object", required: ["id"] }, ['{"id":[]}', '{"id":1,"x":2}'], ["{}", '{"x":1}']],
    [{ properties: { a: false, b: true } }, ['{"b":1}', "{}"], ['{"a":1}']],
  ]);
  check([[{ type: "object", properties }, ['{"a":1}'], ['{"d":1}']], [{ type: "object" }, ["{}"], ['{"d":1}']]], true);
});

Deno.test("other keys are never a named one in disguise", () => {
  const schema = {
    type: "object",
    properties: { ab: { type: "integer" }, "é": { type: "integer" }, 'q"': { type: "integer" } },
  };
  check([[
    schema,
    [
      '{"a":"x"}',
      '{"abc":"x"}',
      '{"":"x"}',
      '{"ê":"x"}',
      '{"q":"x"}',
      '{"ab":1,"b":"x"}',
      '{"q\\"x":"x"}',
      '{"q\\"":1}',
    ],
    ['{"ab":"x"}', '{"\\u0061b":"x"}', '{"é":"x"}', '{"\\u00e9":"x"}', '{"q\\"":"x"}', '{"q\\u0022":"x"}'],
  ]]);
});

Deno.test("arrays have their places, and no more or less than they should", () => {
  check([
    [{ items: { type: "integer" }, minItems: 1, maxItems: 3 }, ["[1]", "[1, 2,3]"], ["[]", "[1,2,3,4]", '["1"]']],
    [{ prefixItems: [{ type: "null" }, { type: "boolean" }], items: false }, ["[]", "[null]", "[null,true]"], [
      "[true]",
      "[null,true,1]",
    ]],
    [{ prefixItems: [{ type: "null" }], items: { type: "integer" }, minItems: 2 }, ["[null,1]", "[null,1,2]"], [
      "[null]",
      "[1,1]",
    ]],
    [{ type: "array", maxItems: 0 }, ["[]"], ["[1]"]],
    [{ items: false }, ["[]"], ["[1]"]],
    [{ type: "array", minItems: 1000, maxItems: 1000, items: { const: 0 } }, [`[${Array(1000).fill(0)}]`], [
      `[${Array(999).fill(0)}]`,
      `[${Array(1001).fill(0)}]`,
    ]],
  ]);
});

Deno.test("strings have their lengths in characters, their patterns and their formats", () => {
  check([
    [{ minLength: 1, maxLength: 2 }, ['"a"', '"😀é"', '"\\ud83d\\ude00\\n"'], ['""', '"abc"']],
    [{ type: "string", maxLength: 2_000 }, [`"${"x".repeat(2_000)}"`], [`"${"x".repeat(2_001)}"`]],
    [{ pattern: "^a+$", maxLength: 3 }, ['"a"', '"aaa"'], ['""', '"aaaa"', '"b"']],
    [{ pattern: "^[0-9]{3}$", maxLength: 3 }, ['"123"'], ['"12"']],
    [{ pattern: "b" }, ['"abc"', '"b"', '"\\nb"'], ['"ac"']],
    [{ format: "date" }, ['"2024-02-29"', '"1999-12-31"'], ['"2023-02-29"', '"2023-04-31"', '"2023-13-01"']],
    [{ format: "date-time" }, ['"2024-01-01T10:00:00Z"', '"2024-01-01T10:00:00.5+01:00"'], [
      '"2024-01-01"',
      '"2024-01-01T24:00:00Z"',
    ]],
    [{ format: "uuid" }, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123e4567"']],
    [{ format: "ipv4" }, ['"255.0.10.1"'], ['"256.0.0.1"', '"01.0.0.1"']],
  ]);
});

Deno.test("types, listed values and choices", () => {
  check([
    [{ type: ["string", "null"] }, ['"x"', "null"], ["1"]],
    [{ enum: ["a", 1, null, { k: [1, 2] }] }, ['"a"', "1", "null", '{"k": [1,2]}'], ['"b"', "2", '{"k":[2,1]}']],
    [{ enum: ["a", 1], type: "string" }, ['"a"'], ["1"]],
    [{ anyOf: [{ type: "integer" }, { maxLength: 1 }] }, ["12", '"x"'], ['"xy"', "1.5"]],
    [{ oneOf: [{ type: "integer" }, { type: "string" }] }, ["12", '"x"'], ["1.5"]],
    [{ type: "integer", anyOf: [{ minimum: 5 }, { maximum: 1 }] }, ["5", "1", "-7"], ["3", "2"]],
    [{ allOf: [{ type: "number" }, { type: "integer", minimum: 2 }, { maximum: 3 }] }, ["2", "3"], ["1", "4", "2.5"]],
    [
      {
        allOf: [{ properties: { a: { type: "integer" } }, required: ["a"] }, {
          properties: { a: { maximum: 2 }, b: { type: "null" } },
        }],
        additionalProperties: true,
      },
      ['{"a":2,"b":null}'],
      ['{"a":3}', '{"b":null}', '{"a":1,"b":1}'],
    ],
    [
      {
        allOf: [{ properties: { a: true }, additionalProperties: false }, { properties: { b: true } }],
        type: "object",
      },
      ['{"a":1}'],
      ['{"b":1}'],
    ],
    [{ const: { a: 1, b: "x" } }, ['{"a":1,"b":"x"}', '{"a": 1, "b": "x"}'], ["{}"]],
  ]);
});

Deno.test("schemas may refer to themselves", () => {
  const tree = {
    type: "object",
    properties: { value: { type: "integer" }, children: { type: "array", items: { $ref: "#/$defs/tree" } } },
    required: ["value", "children"],
    additionalProperties: false,
  };
  check([
    [{ $ref: "#/$defs/tree", $defs: { tree } }, ['{"value":1,"children":[{"value":2,"children":[]}]}'], [
      '{"value":1,"children":[{}]}',
    ]],
    [{ anyOf: [{ type: "null" }, { items: { $ref: "#" } }] }, ["null", "[[null],[]]"], ["1"]],
    [{ $defs: { "a/b~c": { const: 1 } }, $ref: "#/$defs/a~1b~0c" }, ["1"], ["2"]],
  ]);
});

Deno.test("what cannot be held to is refused by name and place", () => {
  const cases: [unknown, RegExp][] = [
    [{ properties: { a: { not: {} } } }, /"not" is not supported, at #\/properties\/a$/],
    [{ items: { uniqueItems: true } }, /"uniqueItems" is not supported, at #\/items$/],
    [{ minLenght: 3 }, /"minLenght" is not supported, at #$/],
    [{ type: "integer", multipleOf: 5 }, /"multipleOf"/],
    [{ format: "color" }, /the format "color"/],
    [{ pattern: "(?=a)b" }, /pattern "\(\?=a\)b" cannot be used at #: \(\? at character 2/],
    [{ pattern: "(" }, /no regular expression/],
    [{ pattern: "^(a|bc)$", maxLength: 1 }, /maxLength beside such a pattern/],
    [{ pattern: "a", format: "date" }, /more than one pattern/],
    [{ oneOf: [{ minimum: 1 }, { maximum: 3 }] }, /oneOf whose schemas may fit the same value/],
    [{ $ref: "https://example.com/s.json" }, /\$ref to "https:/],
    [{ $ref: "#/$defs/none" }, /refers to "#\/\$defs\/none", which is not there/],
    [{ $ref: "#" }, /refers to itself and to nothing else/],
    [{ anyOf: [{ $ref: "#" }] }, /no finite text fits/],
    [{ anyOf: [{ $ref: "#" }, { type: "null" }] }, /a rule that refers to itself/],
    [{ type: "objekt" }, /"type" at # must be a type/],
    [{ properties: [] }, /"properties" at # must be/],
    [{ required: "a" }, /"required" at # must be a list of strings/],
    [{ minimum: "1" }, /"minimum" at # must be a number/],
    [{ type: "number", minimum: 1e300 }, /a bound of 1e\+300/],
    [{ enum: [1], minimum: 0 }, /"minimum" beside enum/],
    [{ type: "object", minProperties: 3 }, /minProperties above/],
    [false, /no finite text fits/],
    [{ type: "integer", minimum: 3, maximum: 2 }, /no finite text fits/],
    [{ type: "object", properties: { next: { $ref: "#" } }, required: ["next"] }, /no finite text fits/],
    ["x", /must be an object, true or false/],
  ];
  for (const [schema, message] of cases) {
    assert.throws(() => schemaGrammar(schema), (error) => {
      assert.ok(error instanceof RangeError || error instanceof TypeError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("the work for one token has a limit", () => {
  const automaton = new Automaton(schemaGrammar({ maxLength: 1_000_000 }));
  const read = (text: string, rest: boolean) => {
    let state: State | null = automaton.start();
    for (const byte of new TextEncoder().encode(text)) {
      if (rest) automaton.rest();
      state = automaton.step(state!, byte);
    }
    return state!.accepting;
  };
  assert.ok(read(`"${"a".repeat(10_000)}"`, true), "so much that what was made is forgotten meanwhile");
  assert.throws(() => read(`"${"a".repeat(60_000)}`, false), /^GrammarError: Cannot follow the answer's grammar/);
});

Deno.test("schemas that are made to be large are refused in one sentence", () => {
  const nest = (levels: number) => Array.from({ length: levels }).reduce((inner) => ({ items: inner }), {});
  const doubling = Object.fromEntries(
    Array.from(
      { length: 40 },
      (_, i) => [`d${i}`, { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { items: { $ref: `#/$defs/d${i + 1}` } }] }],
    ),
  );
  const product = { allOf: Array.from({ length: 20 }, (_, i) => ({ anyOf: [{ minimum: i }, { maximum: -i }] })) };
  const chain = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`d${i}`, { $ref: `#/$defs/d${i + 1}` }]));
  const bombs: [string, unknown][] = [
    ["levels", nest(5000)],
    ["levels of schemas", nest(400)],
    ["characters", { description: "x".repeat(1 << 20) }],
    ["values", { enum: Array.from({ length: 5000 }, (_, i) => i) }],
    ["properties", { properties: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, {}])) }],
    ["product of choices", product],
    ["optional properties", { properties: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${i}`, {}])) }],
    ["chain of references", { $ref: "#/$defs/d0", $defs: { ...chain, d5000: {} } }],
    ["pattern", { pattern: "(".repeat(2000) + "a" + ")".repeat(2000) }],
  ];
  for (const [what, schema] of bombs) {
    assert.throws(() => schemaGrammar(schema), /^(RangeError|TypeError): Cannot (use|compile)/, what);
  }
  schemaGrammar({ $ref: "#/$defs/d0", $defs: { ...doubling, d40: { type: "null" } } });
});

/** Texts for the tokenizer's tests: what people write, what breaks tokenizers, and seeded mixtures of both. */

/** Texts by what they try. */
export const TEXTS: Readonly<Record<string, string>> = {
  empty: "",
  prose:
    "It was a bright cold day, and the clocks weren't striking thirteen; she'd said “perhaps” – twice! Naïve façades…",
  contractions:
    "I'm you're he's we'd they'll I've can't I'M YOU'RE HE'S WE'D THEY'LL I'VE CAN'T 'tis 'Twas rock'n'roll 's'd'm ''s '",
  code:
    "export function sum(xs: number[]): number {\n\tlet total = 0; // 1_000\n    for (const x of xs) total += x;\n" +
    '    return total;\n}\n\n#include <stdio.h>\r\nint main(void) { printf("%d\\n", 0xff); }\r\n<a href="https://x.org/?q=1&r=2">é</a>',
  json: '{"name": "sum", "arguments": {"a": [1, 2.5e-3, null], "b": "\\u00e9\\n"}}',
  numbers: "3.14159 1,234,567 12345678901234567890 ½ ² Ⅷ ٣٤٥ ④ 1st 2nd 10% 1/2 $5 −7",
  digits: "1234567890".repeat(60),
  chinese: "今天天气很好，我们去公园散步吧！《红楼梦》第一回：甄士隐梦幻识通灵。２０２５年１月",
  japanese: "吾輩は猫である。名前はまだ無い。カタカナとｶﾀｶﾅ、々〆ヶ。",
  korean: "안녕하세요. 한국어 문장입니다. 각 각",
  scripts: "Привет, мир! Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم. नमस्ते दुनिया। สวัสดีชาวโลก Ước gì ǅ ʰ ª º",
  emoji: "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷🇯 ❤️ 1️⃣ 😀😃😄 👨🏿‍🚀text🧑‍💻 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
  combining: "e\u0301 n\u0303o a\u0300\u0301\u0302\u0303 Z\u0351\u036b\u0343a\u0328\u0321l\u0334go \u0301start क्षि",
  spaces: "a b  c   d    e\tf\t\tg \t h\u00a0i\u2003j\u3000k\u1680l\u202fm\u205fn  ",
  newlines: "a\nb\n\nc\n\n\nd \n e\r\nf\r\n\r\ng\n  \n  h\n\t\n\ti\u2028j\u2029k\u0085l\u0085\n m\x0bn\x0co\n\n",
  "white space": " ".repeat(700) + "x" + "\n".repeat(700) + "y" + "\t".repeat(300) + " \n".repeat(200) + " ".repeat(99),
  controls: Array.from({ length: 33 }, (_, i) => String.fromCharCode(i)).join("a") + "\x7f\x80\x9f\xad",
  nul: "\0 \0\0a\0\n\0 1\0'\0s",
  marks: "\ufeffbom in\ufefffront \u200b\u200c\u200d\u200e\u202e \ufffd\ufffe\uffff \u{10ffff} \ue000 \u{f0000}",
  surrogates: "a\ud800b \udc00\ud800 \ud83d \ude00 \ud83d\ude00\ud83d x\udfff",
  punctuation:
    "...!!!???—–--==>>=<<|||&&&///***###@@@~~~```\"\"\"''' (a) [b] {c} <d> «e» ¿f? ¡g! 。、？ _a _ a_b $x \\n\n\n!!\r\n",
  added:
    "<role>SYSTEM</role>detailed thinking on<|role_end|><role>HUMAN</role>hi<|role_end|><think>\nhm\n</think>\n\n" +
    "<tool_call>{}</tool_call> [CLS][gMASK]<<role>><role <|role_end|<|endoftext|> <|startoftext|>x",
};

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const range = (first: number, last: number) => (next: () => number) =>
  String.fromCodePoint(first + Math.floor(next() * (last - first + 1)));
const among = (items: readonly string[]) => (next: () => number) => items[Math.floor(next() * items.length)]!;

const WORDS = Object.values(TEXTS).join(" ").split(" ");

// Each makes a character or a few.
const ALPHABETS: readonly ((next: () => number) => string)[] = [
  range(0x61, 0x7a),
  range(0x41, 0x5a),
  range(0x30, 0x39),
  range(0x20, 0x7e),
  range(0, 0x20),
  range(0x80, 0x24f),
  range(0x300, 0x36f),
  range(0x370, 0x1fff),
  range(0x2000, 0x2bff),
  range(0x3000, 0x30ff),
  range(0x4e00, 0x9fff),
  range(0xac00, 0xd7a3),
  range(0xd800, 0xdfff), // a lone surrogate, unless a low one follows a high one
  range(0xf900, 0xffff),
  range(0x10000, 0x1ffff),
  range(0x20000, 0x10ffff),
  among([" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u0085", "\u2028", "\ufeff", " \n", "\n "]),
  among(["'s", "'LL", "'Ve", "'re", "'d", "'x", "'", "''"]),
  among(["👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "\u200d", "\ufe0f", "1️⃣"]),
  among(["<role>", "</role>", "<|role_end|>", "<think>", "</think>", "<tool_call>", "[CLS]", "<role", "<|", "|>"]),
  among(WORDS),
];

/** `count` texts of up to 40 picks each, from a few alphabets at a time; the same for the same seed. */
export function fuzz(seed: number, count: number): string[] {
  const next = random(seed);
  return Array.from({ length: count }, () => {
    const few = Array.from(
      { length: 1 + Math.floor(next() * 4) },
      () => ALPHABETS[Math.floor(next() * ALPHABETS.length)]!,
    );
    let text = "";
    for (let picks = Math.floor(next() * 40); picks > 0; picks--) text += few[Math.floor(next() * few.length)]!(next);
    return text;
  });
}

/** The formats of strings, as patterns. They take the usual spellings, not every one that the standards allow. */

const HOUR = "([01][0-9]|2[0-3])";
const TIME = `${HOUR}:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]${HOUR}:[0-5][0-9])`;
const LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
const DAYS = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])";
const DATE = `([0-9]{4}-(${DAYS})|${LEAP}-02-29)`;
const LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const WORD = "[A-Za-z0-9_~-]";

export const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", DATE],
  ["time", TIME],
  ["date-time", `${DATE}T${TIME}`],
  ["duration", "P([0-9]{1,4}W|[0-9]{1,4}D(T[0-9]{1,4}H)?|T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}[MS]))"],
  ["email", `[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,16})?@${LABEL}(\\.${LABEL}){0,2}\\.[A-Za-z]{2,8}`],
  ["hostname", `${LABEL}(\\.${LABEL}){0,2}`],
  ["ipv4", `${BYTE}(\\.${BYTE}){3}`],
  ["ipv6", "[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){7}"],
  ["uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"],
  ["uri", `https?://${LABEL}(\\.${LABEL}){0,3}(:[1-9][0-9]{0,3})?(/${WORD}+(\\.${WORD}+)*)*/?(\\?${WORD}+=${WORD}*)?`],
].map(([name, pattern]) => [name!, `^(${pattern})$`]));

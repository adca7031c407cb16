// The positions that a row of few attends to, in units that workgroups share out: equal ones, a power of two each and so none across two
// pages. How large they are is a matter of the row's own position alone: at most about UNITS of them, until a unit is a page.

const LEAST_UNIT = 32u;

fn unit_size(positions: u32) -> u32 {
  let share = (positions + UNITS - 1u) / UNITS;
  return min(PAGE, max(LEAST_UNIT, 1u << (32u - countLeadingZeros(share - 1u))));
}

fn units_of(positions: u32) -> u32 { return (positions + unit_size(positions) - 1u) / unit_size(positions); }

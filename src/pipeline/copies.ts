/** What goes between the stages' devices and the host's memory: states and pages of the prefix cache, by numbers that the engine gives them. */

/**
 * What every stage copies to the host's memory, each its own layers' part, of what a snapshot keeps. Copies of pages are numbered from 0,
 * and so are those of states; one that is there already is replaced.
 */
export interface Store {
  readonly snapshot: number;
  /** Which of its pages, and the numbers of their copies. */
  readonly pages: readonly (readonly [index: number, copy: number])[];
  /** The number of the states' copy; null if they are not copied now. */
  readonly state: number | null;
}

/** What a step takes from the host's memory in place of computing it. Such a step has one segment, of whole pages, and no outputs. */
export interface Load {
  /** The copy of each of the segment's pages. */
  readonly pages: readonly number[];
  /** The copy of the linear states behind them; null while further pages follow. */
  readonly state: number | null;
}

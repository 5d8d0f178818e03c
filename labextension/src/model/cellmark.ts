export type CellMark = 'edited' | 'unrun';

/** What a code cell's gutter says; null where its outputs belong to its source. */
export function cellMark(
  source: string,
  ran: string | undefined,
  count: number | null
): CellMark | null {
  if (source.trim() === '') {
    return null;
  }
  if (ran !== undefined) {
    return ran === source ? null : 'edited';
  }
  return count === null ? 'unrun' : null;
}

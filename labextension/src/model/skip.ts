import type { ICellModel } from '@jupyterlab/cells';

/** The tag of a cell that is not recorded. */
export const SKIP_TAG = 'codesave-skip';

// What IPython strips before it looks for a cell magic may stand before ours, too, and so may other
// cell magics (%%time): they have what is below them run as a cell. The same as in `model/skip.py`.
const STRIPPED = String.raw`\s*(?:(?:>>> ?|\.\.\. ?|In ?\[\p{Nd}*\]: ?|\.{3,}: ?)\s*)?`;
const SKIP_LINE = new RegExp(
  String.raw`^${STRIPPED}(?:%%[^\n]*\n${STRIPPED})*%%codesave[ \t]+skip(?![\p{L}\p{N}_])`,
  'u'
);

type Said = Pick<ICellModel, 'metadata' | 'sharedModel'>;
type Changed = Pick<ICellModel, 'metadata' | 'setMetadata' | 'deleteMetadata'>;
type Place = Record<string, unknown>;

/**
 * Tells whether a cell says of itself that it is not to be recorded: by its first line, by the tag
 * or by its own metadata, as `is_skipped` of `model/skip.py` does.
 */
export function isSkipped({ metadata, sharedModel }: Said): boolean {
  return saysSkip(sharedModel.getSource()) || places(metadata).some(isOff);
}

/** Tells whether the source says so, which only who wrote it can take back. */
export function saysSkip(source: string): boolean {
  return SKIP_LINE.test(source);
}

/** Lets a cell say by its tag that it is not to be recorded, or no more by its metadata. */
export function setSkipped(cell: Changed, skipped: boolean): void {
  const put = (key: string, value: unknown, empty: boolean) =>
    empty ? cell.deleteMetadata(key) : cell.setMetadata(key, value);
  const tags = tagsOf(cell.metadata).filter(tag => tag !== SKIP_TAG);
  if (skipped) {
    tags.push(SKIP_TAG);
  } else if (isPlace(cell.metadata.codesave)) {
    const rest = Object.entries(cell.metadata.codesave).filter(
      ([key, value]) => key !== 'skipped' && !(key === 'capture' && value === 'off')
    );
    put('codesave', Object.fromEntries(rest), rest.length === 0);
  }
  put('tags', tags, tags.length === 0);
}

/** Where front ends put what a cell says: its metadata, and what is nested in them. */
function places(metadata: Place): Place[] {
  const said = [metadata, metadata.cell, metadata.metadata].filter(isPlace);
  return [...said, ...said.map(place => place.metadata).filter(isPlace)];
}

function isOff(place: Place): boolean {
  const own = place.codesave;
  return (
    tagsOf(place).includes(SKIP_TAG) ||
    (isPlace(own) && (own.capture === 'off' || Boolean(own.skipped)))
  );
}

function tagsOf({ tags }: Place): string[] {
  return Array.isArray(tags) ? tags.filter(tag => typeof tag === 'string') : [];
}

function isPlace(value: unknown): value is Place {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

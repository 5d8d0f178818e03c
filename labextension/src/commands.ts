import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

/** Every command of the extension; the arguments of each are named beside it. */
export namespace CommandIDs {
  export const openRuns = 'codesave:open-runs';
  /** `{run}` */
  export const openSession = 'codesave:open-session';
  /** `{base, head, path?}`; without base and head a person is asked. */
  export const compare = 'codesave:compare';
  /** The two runs picked in the history. */
  export const compareSelected = 'codesave:compare-selected';
  /** `{run}`; without it the clicked run. */
  export const selectForCompare = 'codesave:select-for-compare';
  /** `{run}`; without it the clicked run. */
  export const compareWithSelected = 'codesave:compare-with-selected';
  /** `{run}`; without it the clicked run. */
  export const compareWithDisk = 'codesave:compare-with-disk';
  /** `{run}`; without it the clicked run. */
  export const comparePrevious = 'codesave:compare-with-previous';
  /** `{run}`; without it the clicked run. */
  export const rename = 'codesave:rename-run';
  /** `{run}`; without it the clicked run. */
  export const tag = 'codesave:tag-run';
  /** `{run}`; without it the clicked run. */
  export const remove = 'codesave:delete-run';
  /** `{run}`; without it the clicked run. */
  export const restore = 'codesave:restore-run';
  export const nextChange = 'codesave:next-change';
  export const previousChange = 'codesave:previous-change';
  /** The open notebook against its last run. */
  export const compareLastRun = 'codesave:compare-last-run';
  /** The open notebook against the last version of its code. */
  export const compareLastVersion = 'codesave:compare-last-version';
  /** The open notebook against what a person picks. */
  export const compareNotebook = 'codesave:compare-notebook';
  /** `{clicked}`: the cell under the context menu; without it the active cell. */
  export const skipCell = 'codesave:skip-cell';
  /** Puts recorded outputs that the open notebook lacks into its cells, after a preview. */
  export const restoreOutputs = 'codesave:restore-outputs';
  export const toggleRecording = 'codesave:toggle-recording';
}

/** A string argument of a command, if it was given. */
export function text(args: ReadonlyPartialJSONObject, name: string): string | undefined {
  const value = args[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

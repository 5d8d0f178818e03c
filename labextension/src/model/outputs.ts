import type { IOutput } from '@jupyterlab/nbformat';

/** Which output answers which; null where the other side has none. */
export interface IOutputPair {
  base: IOutput | null;
  head: IOutput | null;
  changed: boolean;
}

import { Signal, type ISignal } from '@lumino/signaling';
import type { ICell } from '@jupyterlab/nbformat';
import type { CodeSaveClient } from '../client';
import type { IComparedFile, IComparison, IRun, IRunEvent, Side } from '../tokens';
import { CellCache } from './cellcache';
import { baseName } from './titles';

/** The notebook of what ran, which every version of the code holds. */
export const SESSION = '_session_history.ipynb';

export interface IComparisonArgs {
  base: string;
  head: string;
  path?: string;
}

export interface IView {
  layout: 'side' | 'inline';
  outputs: boolean;
  metadata: boolean;
}

/**
 * `files`: state or list changed; `file`: another is shown; `view`: the switches; `described`: a
 * run has another name, other tags or notes.
 */
export type ComparisonChange = 'files' | 'file' | 'view' | 'outdated' | 'described';

const DESCRIBED: readonly (keyof IRun)[] = ['name', 'tags', 'notes'];
const RAN: readonly (keyof IRun)[] = ['state', 'ended', 'ended_by', 'executions', 'artifact'];

/** Two refs, the files in which they differ and the one that is looked at. */
export class ComparisonModel {
  constructor(
    private client: CodeSaveClient,
    args: IComparisonArgs
  ) {
    this.base = args.base;
    this.head = args.head;
    this.path = args.path ?? null;
  }

  base: string;
  head: string;
  /** The file that is looked at; null until one is chosen. */
  path: string | null;
  state: 'loading' | 'ready' | 'error' = 'loading';
  error: Error | null = null;
  comparison: IComparison | null = null;
  /** The file at `path`, with its notebooks or texts. */
  file: IComparedFile | null = null;
  /** Whether a compared run went on since it was asked for. */
  outdated = false;
  view: IView = { layout: 'side', outputs: true, metadata: true };

  get changed(): ISignal<this, ComparisonChange> {
    return this._changed;
  }

  get args(): IComparisonArgs {
    return { base: this.base, head: this.head, ...(this.path ? { path: this.path } : {}) };
  }

  async load(): Promise<void> {
    this.forgetCells();
    this.comparison = null;
    this.file = null;
    this.outdated = false;
    await this.attempt(async signal => {
      // What is most likely looked at first is asked for together with the list.
      const guess = this.path ?? likelyFile(this.base, this.head);
      const [comparison, guessed] = await Promise.all([
        this.client.diff(this.base, this.head, {}, signal),
        this.fetchFile(guess, signal).catch(error => {
          if (signal.aborted) {
            throw error;
          }
          return null;
        })
      ]);
      this.comparison = comparison;
      const chosen =
        comparison.files.find(file => file.path === this.path) ?? firstToShow(comparison.files);
      this.path = chosen?.path ?? null;
      this.file =
        chosen && guessed?.path !== chosen.path
          ? await this.fetchFile(chosen.path, signal)
          : guessed;
    });
  }

  async select(path: string): Promise<void> {
    if (path === this.path && this.file) {
      return;
    }
    this.path = path;
    this.forgetCells();
    await this.attempt(async signal => {
      this.file = await this.fetchFile(path, signal);
    });
  }

  /** Gives up what is being asked for; the server stops its work when the line is closed. */
  cancel(): void {
    this._abort?.abort();
  }

  swap(): Promise<void> {
    return this.compare({ base: this.head, head: this.base, path: this.path ?? undefined });
  }

  compare(args: IComparisonArgs): Promise<void> {
    this.base = args.base;
    this.head = args.head;
    this.path = args.path ?? null;
    return this.load();
  }

  /**
   * Takes notice that `run` went on; what is shown stays until a person asks again. Another name,
   * other tags or notes are shown at once: what was compared is the same.
   */
  async noteChange(run: string, action: IRunEvent['action']): Promise<void> {
    const { comparison } = this;
    if (this.outdated || this.state !== 'ready' || !comparison) {
      return;
    }
    const sides = [comparison.base, comparison.head].filter(side => side.run?.id === run);
    if (!sides.length && this.base !== run && this.head !== run) {
      return;
    }
    // A finish is never a word of a person: nothing need be asked.
    const asks = sides.length > 0 && action === 'updated';
    const now = asks ? await this.client.run(run).catch(() => null) : null;
    if (this.outdated || this.comparison !== comparison) {
      return;
    }
    if (!now || sides.some(side => wentOn(side.run!, now))) {
      this.outdated = true;
      this._changed.emit('outdated');
      return;
    }
    const { name, tags, notes } = now;
    for (const side of sides) {
      side.run = { ...side.run!, name, tags, notes };
    }
    this._changed.emit('described');
  }

  /** The bytes of a side of the shown file; null where they are not in the store. */
  async bytes(side: Side): Promise<Blob | null> {
    const digest = this.file?.[side]?.digest;
    const run = this.comparison?.[side].run?.id;
    return digest && run ? this.client.blob(digest, run).catch(() => null) : null;
  }

  setView(change: Partial<IView>): void {
    this.view = { ...this.view, ...change };
    this._changed.emit('view');
  }

  /** A whole cell of the shown notebook. */
  cell(side: Side, index: number): Promise<ICell> {
    const have = this.file?.notebooks?.[side]?.cells[index];
    return have && !have.partial
      ? Promise.resolve(have as ICell)
      : this._cells[side].get(index);
  }

  private async attempt(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this._abort?.abort();
    const abort = (this._abort = new AbortController());
    this.state = 'loading';
    this.error = null;
    this._changed.emit('files');
    try {
      await work(abort.signal);
      if (abort !== this._abort) {
        return;
      }
      this.state = 'ready';
    } catch (error) {
      if (abort !== this._abort) {
        return;
      }
      this.state = 'error';
      this.error = abort.signal.aborted
        ? new Error('The comparison was cancelled.')
        : (error as Error);
    }
    this._changed.emit('file');
  }

  private forgetCells(): void {
    this._cells.base.clear();
    this._cells.head.clear();
  }

  private async fetchFile(path: string, signal: AbortSignal): Promise<IComparedFile | null> {
    const options = { path, notebooks: 'touched' as const };
    return (await this.client.diff(this.base, this.head, options, signal)).files[0] ?? null;
  }

  private cellsOf(side: Side): CellCache {
    return new CellCache(indices => {
      // The base may hold it under another name: a notebook against what ran, two files on disk.
      const own = side === 'base' ? this.file?.base_path : null;
      return this.client.cells(this.base, this.head, own ?? this.path ?? '', side, indices);
    });
  }

  private _abort: AbortController | null = null;
  private _cells = { base: this.cellsOf('base'), head: this.cellsOf('head') };
  private _changed = new Signal<this, ComparisonChange>(this);
}

/** Whether more happened to a run than that a person described it. */
function wentOn(before: IRun, now: IRun): boolean {
  const differ = (key: keyof IRun) => JSON.stringify(before[key]) !== JSON.stringify(now[key]);
  // What a cell that still runs prints changes none of these; an ended run is only described.
  return RAN.some(differ) || (now.state === 'running' && !DESCRIBED.some(differ));
}

/** The file that two refs will show: a notebook on disk under its own name, else what ran. */
export function likelyFile(base: string, head: string): string {
  const path = [head, base].find(ref => ref.includes('/') || /\.(ipynb|py)$/.test(ref));
  return path ? baseName(path) : SESSION;
}

/** What ran first, then other changed notebooks, then any change, then anything. */
export function firstToShow(files: readonly IComparedFile[]): IComparedFile | undefined {
  const changed = files.filter(file => file.status !== 'unchanged');
  return (
    changed.find(file => file.path === SESSION) ??
    changed.find(file => file.kind === 'notebook') ??
    changed[0] ??
    files[0]
  );
}

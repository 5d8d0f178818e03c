import { Signal, type ISignal } from '@lumino/signaling';
import type { ICell, INotebookContent } from '@jupyterlab/nbformat';
import type { CodeSaveClient } from '../client';
import type { IOutline, IOutlined, IRunPage, IStoredFile } from '../tokens';
import { CellCache } from './cellcache';
import { SessionText } from './sessiontext';

/** One run as it is looked at: its page, an outline of its executions, cells as they are seen. */
export class SessionModel {
  constructor(
    private client: CodeSaveClient,
    readonly run: string
  ) {
    const fetch = (indices: readonly number[]) => client.sessionCells(run, indices);
    this._cells = new CellCache(fetch);
    this._text = new SessionText(fetch);
  }

  state: 'loading' | 'ready' | 'error' = 'loading';
  error: Error | null = null;
  page: IRunPage | null = null;
  outline: IOutline | null = null;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get executions(): readonly IOutlined[] {
    return this.outline?.executions ?? [];
  }

  async load(): Promise<void> {
    try {
      const [page, found] = await Promise.all([
        this.client.run(this.run),
        this.client.executions(this.run)
      ]);
      const outline = page.state === 'running' ? found : ended(found);
      for (const place of changedCells(this.executions, outline.executions)) {
        this._cells.forget(place);
        this._text.forget(place);
      }
      this.page = page;
      this.outline = outline;
      this.state = 'ready';
      this.error = null;
    } catch (error) {
      this.state = 'error';
      this.error = error as Error;
    }
    this._changed.emit();
  }

  /** Loads again what changed; many calls in a row share one. */
  refresh(): void {
    if (!this._pending) {
      this._pending = true;
      setTimeout(() => {
        this._pending = false;
        void this.load();
      }, 300);
    }
  }

  /** The session notebook's cell of an execution, with its outputs. */
  cell(index: number): Promise<ICell> {
    return this._cells.get(index);
  }

  /** What can be read of each execution. */
  texts(): Promise<readonly string[]> {
    return this._text.all(this.executions);
  }

  /** The whole session notebook. */
  notebook(): Promise<INotebookContent> {
    return this.client.notebook(this.run);
  }

  /** The bytes of a file of the run's last version. */
  file({ digest }: IStoredFile): Promise<Blob> {
    return this.client.blob(digest, this.run);
  }

  private _cells: CellCache;
  private _text: SessionText;
  private _pending = false;
  private _changed = new Signal<this, void>(this);
}

/** An outline of a run that is over: what had no end then never will. */
export function ended(outline: IOutline): IOutline {
  const executions = outline.executions.map(each =>
    each.status === 'running' ? { ...each, status: 'unfinished' } : each
  );
  return { ...outline, executions };
}

/** The places at which two outlines of one session differ. */
export function changedCells(
  before: readonly IOutlined[],
  after: readonly IOutlined[]
): number[] {
  const places = Array.from({ length: Math.max(before.length, after.length) }, (_, i) => i);
  return places.filter(i => JSON.stringify(before[i]) !== JSON.stringify(after[i]));
}

/** How an execution ended; one that a person stopped did not fail. */
export function outcome({ status, error }: IOutlined): string {
  return error === 'KeyboardInterrupt' ? 'interrupted' : (status ?? 'unknown');
}

/** Milliseconds that an execution took; null while it runs or where the kernel did not say. */
export function spent({ started, ended }: IOutlined): number | null {
  const ms = started && ended ? Date.parse(ended) - Date.parse(started) : NaN;
  return Number.isFinite(ms) ? ms : null;
}

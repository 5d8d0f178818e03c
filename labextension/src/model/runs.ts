import { Signal, type ISignal } from '@lumino/signaling';
import type { CodeSaveClient } from '../client';
import type { IRun, IRunEvent, IRunQuery, RunState } from '../tokens';
import { heading } from './titles';

const PAGE = 50;

/** The runs of one notebook or program, or a project's that have neither; newest first. */
export interface IRunGroup {
  key: string;
  /** Unlike that of every other group. */
  title: string;
  runs: IRun[];
  /** Whether they are of the open notebook. */
  current: boolean;
}

/** The runs that are listed, kept live by the server's events; asks, never draws. */
export class RunsModel {
  constructor(private client: CodeSaveClient) {}

  state: 'loading' | 'ready' | 'error' = 'loading';
  error: Error | null = null;
  /** Up to two run ids, in the order in which they were picked. */
  selection: string[] = [];

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get filter(): string {
    return this._filter;
  }

  /** The state that is listed. */
  get listed(): RunState {
    return this._listed;
  }

  get complete(): boolean {
    return this._next === null;
  }

  /** The open notebook's runs first, then by the newest run of each. */
  get groups(): IRunGroup[] {
    return groupRuns(this._runs, this._current);
  }

  get(id: string): IRun | undefined {
    return this._runs.get(id);
  }

  /** The first page, from the server; what was listed is replaced. */
  async refresh(): Promise<void> {
    const turn = ++this._turn;
    try {
      const [page, own] = await Promise.all([
        this.client.runs(this.query),
        this._current ? this.client.runs({ ...this.query, notebook: this._current }) : null
      ]);
      if (turn !== this._turn) {
        return;
      }
      this._runs = new Map([...page.runs, ...(own?.runs ?? [])].map(run => [run.id, run]));
      this._next = page.next;
      this.state = 'ready';
      this.error = null;
    } catch (error) {
      if (turn !== this._turn) {
        return;
      }
      this.state = 'error';
      this.error = error as Error;
    }
    this._changed.emit();
  }

  /** The next page, if there is one. */
  async more(): Promise<void> {
    if (this._next === null || this._paging) {
      return;
    }
    const turn = this._turn;
    this._paging = true;
    try {
      const page = await this.client.runs({ ...this.query, cursor: this._next });
      if (turn === this._turn) {
        page.runs.forEach(run => this._runs.set(run.id, run));
        this._next = page.next;
      }
    } catch (error) {
      this.error = error as Error;
    } finally {
      this._paging = false;
    }
    this._changed.emit();
  }

  setFilter(text: string): Promise<void> {
    this._filter = text;
    return this.refresh();
  }

  list(state: RunState): Promise<void> {
    this._listed = state;
    this.selection = [];
    return this.refresh();
  }

  /** Whose runs come first; a contents path. */
  async setNotebook(path: string | null): Promise<void> {
    if (path !== this._current) {
      this._current = path;
      await this.refresh();
    }
  }

  /** Picks one run alone, or adds to and takes from the two that are picked. */
  select(id: string, add = false): void {
    if (!add) {
      this.selection = [id];
    } else if (this.selection.includes(id)) {
      this.selection = this.selection.filter(other => other !== id);
    } else {
      this.selection = [...this.selection.slice(-1), id];
    }
    this._changed.emit();
  }

  /** The two picked runs, the older as base; null unless there are two. */
  get pair(): { base: string; head: string } | null {
    const runs = this.selection.map(id => this._runs.get(id));
    if (runs.length !== 2 || !runs[0] || !runs[1]) {
      return null;
    }
    return inOrder(runs[0], runs[1]);
  }

  /** Takes what an event says happened into the list. */
  async apply(event: IRunEvent): Promise<void> {
    if (event.action === 'deleted' && this._listed !== 'deleted') {
      this.forget(event.run);
      return;
    }
    const whole = this._listed !== '' || (this._filter !== '' && !this._runs.has(event.run));
    const key = whole ? '' : event.run;
    if (!this._asked.has(key)) {
      // Many events of a busy run share one answer.
      this._asked.add(key);
      await new Promise(resolve => setTimeout(resolve, 100));
      this._asked.delete(key);
      await (whole ? this.refresh() : this.reload(event.run));
    }
  }

  async rename(id: string, name: string): Promise<void> {
    this.put(await this.client.updateRun(id, { name }));
  }

  async tag(id: string, tags: string[]): Promise<void> {
    this.put(await this.client.updateRun(id, { tags }));
  }

  async delete(id: string): Promise<void> {
    await this.client.deleteRun(id);
    this.forget(id);
  }

  async restore(id: string): Promise<void> {
    const run = await this.client.restoreRun(id);
    if (this._listed) {
      await this.refresh();
    } else {
      this.put(run);
    }
  }

  private get query(): IRunQuery {
    return { limit: PAGE, q: this._filter, state: this._listed };
  }

  private async reload(id: string): Promise<void> {
    try {
      this.put(await this.client.run(id));
    } catch {
      // Deleted meanwhile: its own event takes it off the list.
    }
  }

  private put(run: IRun): void {
    this._runs.set(run.id, run);
    this._changed.emit();
  }

  private forget(id: string): void {
    this._runs.delete(id);
    this.selection = this.selection.filter(other => other !== id);
    this._changed.emit();
  }

  private _runs = new Map<string, IRun>();
  private _asked = new Set<string>();
  private _next: string | null = null;
  private _filter = '';
  private _listed: RunState = '';
  private _current: string | null = null;
  private _paging = false;
  private _turn = 0;
  private _changed = new Signal<this, void>(this);
}

/** The older of two runs is the base. */
export function inOrder(one: IRun, other: IRun): { base: string; head: string } {
  return one.started <= other.started
    ? { base: one.id, head: other.id }
    : { base: other.id, head: one.id };
}

export function groupRuns(
  runs: ReadonlyMap<string, IRun>,
  current: string | null
): IRunGroup[] {
  const groups = new Map<string, IRunGroup>();
  const newestFirst = [...runs.values()].sort((a, b) => (a.started < b.started ? 1 : -1));
  for (const run of newestFirst) {
    const key = run.notebook || run.program || `${run.project ?? ''}/${run.kind}`;
    let group = groups.get(key);
    if (!group) {
      const open = current !== null && run.notebook === current;
      group = { key, title: heading(run), runs: [], current: open };
      groups.set(key, group);
    }
    group.runs.push(run);
  }
  const titles = [...groups.values()].map(({ title }) => title);
  const isShared = (title: string) => titles.indexOf(title) !== titles.lastIndexOf(title);
  for (const group of groups.values()) {
    // Files of one name in two folders are told apart by their whole paths.
    group.title = isShared(group.title) ? group.key : group.title;
  }
  return [...groups.values()].sort((a, b) => Number(b.current) - Number(a.current));
}

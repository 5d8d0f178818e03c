import { SearchProvider, type ISearchMatch } from '@jupyterlab/documentsearch';
import { matchesIn } from '../model/sessiontext';
import { centre, mark, rangesOf } from './foundmarks';
import type { SessionViewer } from './viewer';

/** Milliseconds for which a match that was gone to is kept in view while its cell is drawn. */
const HOLD = 700;

/** JupyterLab's own search, over the sources and the text outputs of a session. */
export class SessionSearch extends SearchProvider<SessionViewer> {
  constructor(widget: SessionViewer) {
    super(widget);
    widget.model.changed.connect(this.onChanged, this);
    this.observer = new MutationObserver(() => this.schedule());
  }

  readonly isReadOnly = true;

  get matchesCount(): number | null {
    return this.query && this.places.length;
  }

  get currentMatchIndex(): number | null {
    return this.at;
  }

  async startQuery(query: RegExp): Promise<void> {
    const again = this.at !== null && String(query) === String(this.query);
    this.query = query;
    const texts = await this.widget.model.texts();
    if (this.query !== query || this.isDisposed) {
      return;
    }
    // Asked half a second ago by a field that was closed meanwhile.
    if (!this.widget.node.querySelector('.jp-DocumentSearch-overlay')) {
      await this.endQuery();
      return;
    }
    this.places = matchesIn(texts, query);
    this.observer.observe(this.widget.node, { childList: true, subtree: true });
    if (again && this.at! < this.places.length) {
      this.schedule(); // the session went on: who reads stays where they are
      return;
    }
    this.at = null;
    const top = this.widget.cells?.topPlace ?? 0;
    if (this.places.length) {
      this.goTo(
        Math.max(
          this.places.findIndex(place => place >= top),
          0
        )
      );
    }
    this.schedule();
  }

  async endQuery(): Promise<void> {
    this.query = null;
    this.places = [];
    await this.clearHighlight();
    this.observer.disconnect();
  }

  async clearHighlight(): Promise<void> {
    this.at = null;
    mark(this, [], null);
  }

  async highlightNext(): Promise<ISearchMatch | undefined> {
    return this.step(1);
  }

  async highlightPrevious(): Promise<ISearchMatch | undefined> {
    return this.step(-1);
  }

  async replaceCurrentMatch(): Promise<boolean> {
    return false;
  }

  async replaceAllMatches(): Promise<boolean> {
    return false;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.widget.model.changed.disconnect(this.onChanged, this);
      void this.endQuery();
      super.dispose();
    }
  }

  private step(by: 1 | -1): ISearchMatch | undefined {
    const { length } = this.places;
    if (length === 0) {
      return undefined;
    }
    this.goTo(this.at === null ? 0 : (this.at + by + length) % length);
    return { text: '', position: this.at! };
  }

  private goTo(index: number): void {
    const from = this.at === null ? -1 : this.places[this.at];
    this.at = index;
    this.until = performance.now() + HOLD;
    if (this.places[index] !== from) {
      this.widget.goTo(this.places[index]);
    }
    this.schedule();
  }

  /** Has the search asked anew. */
  private onChanged(): void {
    this._stateChanged.emit();
  }

  private schedule(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  /** Marks the matches in those cells that are drawn. */
  private draw(): void {
    const { at, places, query } = this;
    if (!query || this.isDisposed) {
      return;
    }
    const ranges: Range[] = [];
    let here: Range | null = null;
    for (const place of new Set(places)) {
      const own = rangesOf(this.widget.cells?.drawn(place) ?? null, query);
      if (at !== null && places[at] === place && own.length) {
        here = own[Math.min(at - places.indexOf(place), own.length - 1)];
      }
      own.forEach(range => ranges.push(range));
    }
    mark(this, ranges, here);
    if (here && performance.now() < this.until) {
      this.widget.cells?.release();
      centre(here);
    }
  }

  private observer: MutationObserver;
  private query: RegExp | null = null;
  /** The execution in which each match stands. */
  private places: number[] = [];
  private at: number | null = null;
  private until = 0;
  private frame = 0;
}

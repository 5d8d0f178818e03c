import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { note } from './note';

/** Milliseconds of building a frame, so that scrolling stays smooth. */
const SLICE = 8;
/** Rows that are laid out together: the browser passes over the chunks that are out of view. */
const CHUNK = 40;
/** Milliseconds without anything new after which a revealed cell is no longer held in its place. */
const HOLD = 700;
/** A line of code in pixels, to guess the height of what is not built yet. */
export const LINE = 17;

/** How the content of a row is made when it comes near the view. */
export interface ISource {
  /** Fetches what the content is made of; null once all of it is here. */
  fetch: () => Promise<unknown> | null;
  make: () => Widget;
}

export interface IRow {
  node: HTMLElement;
  /** Its likely height in pixels. */
  height: number;
}

interface ISlot extends ISource {
  node: HTMLElement;
  content: Widget | null;
  fetching: boolean;
  /** What is shown until a new content is made. */
  stale?: Widget;
  /** Why there is no content. */
  note?: HTMLElement;
}

/** A long list of cells, of which each gets its content when it comes near the view. */
export class CellList extends Widget {
  constructor(protected trans: TranslationBundle) {
    super();
    this.addClass('codesave-CellList');
    this.node.tabIndex = 0;
    this.node.setAttribute('role', 'list');
    this.node.setAttribute('aria-label', trans.__('Cells'));
    for (const kind of ['wheel', 'touchstart', 'pointerdown', 'keydown']) {
      this.node.addEventListener(kind, () => this.release(), { passive: true });
    }
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.held = null;
    // First out of the page: Lumino cannot detach a content whose place is gone.
    super.dispose();
    this.slots.forEach(({ content, stale }) => [content, stale].forEach(old => old?.dispose()));
    this.slots.clear();
    this.wanted.clear();
  }

  /** Scrolls a row to the top, and holds it there while what is around it is being built. */
  reveal(node: HTMLElement): void {
    const hold = () => {
      if (this.held !== node || !node.isConnected || performance.now() > this.heldUntil) {
        this.held = null;
        return;
      }
      const off = node.getBoundingClientRect().top - this.node.getBoundingClientRect().top;
      if (Math.abs(off) > 20) {
        node.scrollIntoView({ block: 'start' });
      }
      requestAnimationFrame(hold);
    };
    this.held = node;
    this.heldUntil = performance.now() + HOLD;
    node.scrollIntoView({ block: 'start' });
    requestAnimationFrame(hold);
  }

  /** Lets go of the row that is held. */
  release(): void {
    this.held = null;
  }

  /** Says how the content of `node` is made. */
  protected fill(node: HTMLElement, source: ISource): void {
    this.slots.set(node, { ...source, node, content: null, fetching: false });
    this.watch(node);
  }

  /** Has the content of `node` made anew; what it shows stays until then. */
  protected refill(node: HTMLElement, source: ISource): void {
    const { content, stale } = this.slots.get(node) ?? {};
    this.fill(node, source);
    this.slots.get(node)!.stale = content ?? stale;
  }

  /** Takes the content of `node` away. */
  protected empty(node: HTMLElement): void {
    const slot = this.slots.get(node);
    slot?.content?.dispose();
    slot?.stale?.dispose();
    this.slots.delete(node);
    this.observer?.unobserve(node);
  }

  /** Puts rows at the end. */
  protected append(rows: readonly IRow[]): void {
    const last = this.node.lastElementChild;
    const room = last && this.chunks.has(last) ? CHUNK - last.childElementCount : 0;
    if (last && room > 0) {
      this.put(last as HTMLElement, rows.slice(0, room));
    }
    this.node.append(...this.chunked(rows.slice(Math.max(0, room))));
  }

  /** Replaces a row by others; the first of them gets the focus. */
  protected unfold(row: HTMLElement, rows: readonly IRow[]): void {
    row.replaceWith(...this.chunked(rows));
    rows[0].node.focus({ preventScroll: true });
  }

  /** Lets contents be made; before, only their places are there. */
  protected start(): void {
    this.started = true;
    this.observe();
  }

  protected onAfterAttach(msg: Message): void {
    this.slots.forEach(({ content, stale, node }) => {
      const shown = content ?? stale;
      if (shown) {
        Widget.attach(shown, node);
      }
    });
    this.observe();
  }

  protected onBeforeDetach(msg: Message): void {
    this.observer?.disconnect();
    this.chunkObserver?.disconnect();
    this.observer = this.chunkObserver = null;
    this.near.clear();
    cancelAnimationFrame(this.frame);
    this.slots.forEach(({ content, stale }) => {
      const shown = content ?? stale;
      if (shown?.isAttached) {
        Widget.detach(shown);
      }
    });
  }

  /** A line that stands among the cells. */
  protected remark(text: string): HTMLElement {
    const node = note(text);
    node.setAttribute('role', 'listitem');
    return node;
  }

  private chunked(rows: readonly IRow[]): HTMLElement[] {
    const found: HTMLElement[] = [];
    for (let i = 0; i < rows.length; i += CHUNK) {
      const node = document.createElement('div');
      node.className = 'codesave-Chunk';
      node.setAttribute('role', 'presentation');
      this.chunks.set(node, 0);
      this.put(node, rows.slice(i, i + CHUNK));
      this.chunkObserver?.observe(node);
      found.push(node);
    }
    return found;
  }

  private put(chunk: HTMLElement, rows: readonly IRow[]): void {
    let whole = this.chunks.get(chunk) ?? 0;
    for (const { node, height } of rows) {
      node.style.containIntrinsicHeight = `auto ${height}px`;
      chunk.append(node);
      whole += height + 10;
      this.watch(node);
    }
    this.chunks.set(chunk, whole);
    chunk.style.containIntrinsicHeight = `auto ${whole}px`;
  }

  /**
   * Only the cells of chunks near the view are observed: the browser looks at each observed one
   * in every frame.
   */
  private observe(): void {
    if (!this.started || !this.isAttached || this.observer) {
      return;
    }
    this.observer = new IntersectionObserver(entries => this.onSeen(entries), {
      root: this.node,
      rootMargin: '50% 0px'
    });
    this.chunkObserver = new IntersectionObserver(entries => this.onNear(entries), {
      root: this.node,
      rootMargin: '100% 0px'
    });
    this.chunks.forEach((_, node) => this.chunkObserver!.observe(node));
  }

  private onNear(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) {
        this.near.add(target);
        [...target.children].forEach(node => this.watch(node as HTMLElement));
      } else {
        this.near.delete(target);
        [...target.children].forEach(node => this.observer?.unobserve(node));
      }
    }
  }

  private watch(node: HTMLElement): void {
    const chunk = node.parentElement;
    if (chunk && this.near.has(chunk) && this.slots.get(node)?.content === null) {
      this.observer?.unobserve(node); // else one that is observed would not be told of again
      this.observer?.observe(node);
    }
  }

  private onSeen(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const slot = this.slots.get(target as HTMLElement);
      if (slot && !slot.content && isIntersecting) {
        this.wanted.add(slot);
      } else if (slot) {
        this.wanted.delete(slot);
      }
    }
    this.schedule();
  }

  private schedule(): void {
    if (this.wanted.size) {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.build());
    }
  }

  /**
   * Builds what is looked at, a slice a frame. All of a slice is made before any of it comes into
   * the page: CodeMirror's constructor has the browser lay out whatever waits for it.
   */
  private build(): void {
    const end = performance.now() + SLICE;
    const made: ISlot[] = [];
    for (const slot of this.wanted) {
      this.wanted.delete(slot);
      if (this.make(slot)) {
        made.push(slot);
      }
      if (performance.now() > end) {
        break;
      }
    }
    for (const slot of made) {
      this.observer?.unobserve(slot.node);
      Widget.attach(slot.content!, slot.node);
      slot.stale?.dispose();
      slot.stale = undefined;
    }
    if (made.length) {
      this.heldUntil = performance.now() + HOLD;
    }
    this.schedule();
  }

  /** Makes the content of a row; false while its parts are being fetched. */
  private make(slot: ISlot): boolean {
    const replaced = this.slots.get(slot.node) !== slot;
    if (replaced || slot.content || slot.fetching || !slot.node.isConnected) {
      return false;
    }
    const coming = slot.fetch();
    if (coming) {
      void this.wait(slot, coming);
      return false;
    }
    slot.content = slot.make();
    return true;
  }

  private async wait(slot: ISlot, coming: Promise<unknown>): Promise<void> {
    slot.fetching = true;
    try {
      await coming;
      if (!this.isDisposed && this.slots.get(slot.node) === slot) {
        this.wanted.add(slot);
        this.schedule();
      }
      slot.note?.remove();
    } catch (error) {
      slot.note?.remove();
      const { message } = error as Error;
      slot.note = note(this.trans.__('This cell could not be fetched: %1', message));
      slot.node.append(slot.note);
    } finally {
      slot.fetching = false;
    }
  }

  private slots = new Map<HTMLElement, ISlot>();
  /** The likely height of each. */
  private chunks = new Map<Element, number>();
  private near = new Set<Element>();
  private wanted = new Set<ISlot>();
  private observer: IntersectionObserver | null = null;
  private chunkObserver: IntersectionObserver | null = null;
  private frame = 0;
  private started = false;
  private held: HTMLElement | null = null;
  private heldUntil = 0;
}

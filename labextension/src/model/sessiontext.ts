import type { ICell, IOutput } from '@jupyterlab/nbformat';
import type { IOutlined } from '../tokens';
import { plainText } from './plaintext';
import { sourceOf } from './source';

/** Characters of outputs that one request asks for at most, and cells. */
const SLICE = 4_000_000;
const CELLS = 200;
/** Characters of one output that are looked through: longer ones are not drawn at once either. */
const MOST = 2_000_000;

type Fetch = (indices: readonly number[]) => Promise<Record<string, ICell>>;

/** What can be read of each execution, fetched once; images are let go of at once. */
export class SessionText {
  constructor(private fetch: Fetch) {}

  /** The text of every execution, in their order. */
  async all(executions: readonly IOutlined[]): Promise<readonly string[]> {
    for (const places of this.missing(executions)) {
      const cells = await this.fetch(places);
      places.forEach(place => this.texts.set(place, cells[place] ? textOf(cells[place]) : ''));
    }
    return executions.map((_, place) => this.texts.get(place) ?? '');
  }

  /** Lets go of an execution that is no longer what it was. */
  forget(place: number): void {
    this.texts.delete(place);
  }

  private *missing(executions: readonly IOutlined[]): Generator<number[]> {
    let places: number[] = [];
    let size = 0;
    for (let place = 0; place < executions.length; place++) {
      if (this.texts.has(place)) {
        continue;
      }
      if (places.length === CELLS || (places.length && size > SLICE)) {
        yield places;
        [places, size] = [[], 0];
      }
      places.push(place);
      size += executions[place].size;
    }
    if (places.length) {
      yield places;
    }
  }

  private texts = new Map<number, string>();
}

/** The source and the text outputs of a cell, a line break between any two. */
export function textOf(cell: ICell): string {
  const outputs = (cell.outputs as IOutput[] | undefined) ?? [];
  return [sourceOf(cell), ...outputs.map(outputText)].filter(Boolean).join('\n');
}

function outputText(output: IOutput): string {
  const data = (output.data ?? {}) as Record<string, unknown>;
  const kind = ['text/plain', 'text/markdown', 'text/latex'].find(name => name in data);
  const found = output.traceback ?? output.text ?? (kind && data[kind]) ?? '';
  const lines = output.traceback ? '\n' : '';
  const text = Array.isArray(found) ? found.join(lines) : found;
  return typeof text === 'string' ? plainText(text.slice(0, MOST)) : '';
}

/** The place of the execution that holds each match, in order. */
export function matchesIn(texts: readonly string[], query: RegExp): number[] {
  const found: number[] = [];
  texts.forEach((text, place) => {
    for (const [match] of text.matchAll(query)) {
      if (match) {
        found.push(place);
      }
    }
  });
  return found;
}

import type { ICell } from '@jupyterlab/nbformat';

/** Cells a request asks for at most. */
const BATCH = 50;

type Fetch = (indices: readonly number[]) => Promise<Record<string, ICell>>;

/** Whole cells by their index; those asked for in one turn share requests. */
export class CellCache {
  constructor(private fetch: Fetch) {}

  get(index: number): Promise<ICell> {
    let cell = this._cells.get(index);
    if (!cell) {
      cell = new Promise<ICell>((resolve, reject) => {
        this._wanted.set(index, { resolve, reject });
        if (this._wanted.size === 1) {
          void Promise.resolve().then(() => this.flush());
        }
      });
      this._cells.set(index, cell);
      cell.catch(() => this._cells.delete(index));
    }
    return cell;
  }

  /** Lets go of a cell that is no longer what it was. */
  forget(index: number): void {
    this._cells.delete(index);
  }

  clear(): void {
    this._cells.clear();
  }

  private flush(): void {
    const wanted = [...this._wanted];
    this._wanted = new Map();
    for (let i = 0; i < wanted.length; i += BATCH) {
      void this.ask(wanted.slice(i, i + BATCH));
    }
  }

  private async ask(wanted: [number, IWaiting][]): Promise<void> {
    try {
      const cells = await this.fetch(wanted.map(([index]) => index));
      for (const [index, { resolve, reject }] of wanted) {
        const cell = cells[index];
        if (cell) {
          resolve(cell);
        } else {
          reject(new Error(`The server has no cell ${index}.`));
        }
      }
    } catch (error) {
      wanted.forEach(([, { reject }]) => reject(error as Error));
    }
  }

  private _cells = new Map<number, Promise<ICell>>();
  private _wanted = new Map<number, IWaiting>();
}

interface IWaiting {
  resolve: (cell: ICell) => void;
  reject: (error: Error) => void;
}

import { URLExt } from '@jupyterlab/coreutils';
import type { ICell, INotebookContent } from '@jupyterlab/nbformat';
import { ServerConnection } from '@jupyterlab/services';
import type {
  Capture,
  IArtifact,
  IComparison,
  IDiffOptions,
  IOutline,
  IRun,
  IRunChange,
  IRunList,
  IRunPage,
  IRunQuery,
  ISettingsPayload,
  IStatus,
  Side
} from './tokens';

interface ICells {
  cells: Record<string, ICell>;
}

type Query = Record<string, string | number | boolean | undefined>;

/** The reference by which the server reads a file on disk; `path` is a contents path. */
export function pathReference(path: string): string {
  return path.startsWith('./') ? path : `./${path}`;
}

/** The server was not reached; what it would have said nobody knows. */
export class NoAnswerError extends Error {
  constructor() {
    super(
      'The Jupyter server does not answer: it was stopped, or the connection to it is lost. ' +
        'Start it or connect again, then try again.'
    );
  }
}

/** The sole caller of the server extension; answers are what `tokens.ts` names. */
export class CodeSaveClient {
  constructor(private settings: ServerConnection.ISettings = ServerConnection.makeSettings()) {}

  status(): Promise<IStatus> {
    return this.get('status');
  }

  /** `null` undoes the user's own switch. */
  setCapture(capture: Capture | null): Promise<IStatus> {
    return this.send('POST', 'status', { capture });
  }

  serverSettings(): Promise<ISettingsPayload> {
    return this.get('settings');
  }

  saveSettings(values: Record<string, unknown>): Promise<ISettingsPayload> {
    return this.send('PUT', 'settings', values);
  }

  runs(query: IRunQuery = {}): Promise<IRunList> {
    return this.get('runs', { ...query });
  }

  run(id: string): Promise<IRunPage> {
    return this.get(`runs/${encodeURIComponent(id)}`);
  }

  updateRun(id: string, change: IRunChange): Promise<IRun> {
    return this.send('PATCH', `runs/${encodeURIComponent(id)}`, change);
  }

  async deleteRun(id: string): Promise<void> {
    await this.request('DELETE', `runs/${encodeURIComponent(id)}`);
  }

  restoreRun(id: string): Promise<IRun> {
    return this.send('POST', `runs/${encodeURIComponent(id)}/restore`, {});
  }

  notebook(id: string): Promise<INotebookContent> {
    return this.get(`runs/${encodeURIComponent(id)}/notebook`);
  }

  executions(id: string): Promise<IOutline> {
    return this.get(`runs/${encodeURIComponent(id)}/executions`);
  }

  /** Whole cells of a run's session notebook. */
  async sessionCells(id: string, indices: readonly number[]): Promise<Record<string, ICell>> {
    const query = { indices: indices.join(',') };
    return (await this.get<ICells>(`runs/${encodeURIComponent(id)}/cells`, query)).cells;
  }

  /** Every series; of each `recent` newest versions alone, where that is given. */
  artifacts(query: { recent?: number } = {}): Promise<IArtifact[]> {
    return this.get('artifacts', query);
  }

  /** The bytes that `digest` names; only what `run` or its versions hold. */
  async blob(digest: string, run: string): Promise<Blob> {
    return (await this.request('GET', `blobs/${digest}`, { query: { run } })).blob();
  }

  /** To be told of a save by hand, so that the notebook's running run gets a version. */
  async saveVersion(notebook: string): Promise<void> {
    await this.send('POST', 'versions', { notebook });
  }

  diff(
    base: string,
    head: string,
    options: IDiffOptions = {},
    signal?: AbortSignal
  ): Promise<IComparison> {
    const { outputs, metadata, ...rest } = options;
    const flag = (on?: boolean) => (on === undefined ? undefined : on ? 1 : 0);
    return this.get(
      'diff',
      { base, head, ...rest, outputs: flag(outputs), metadata: flag(metadata) },
      signal
    );
  }

  async cells(
    base: string,
    head: string,
    path: string,
    side: Side,
    indices: readonly number[]
  ): Promise<Record<string, ICell>> {
    const query = { base, head, path, side, indices: indices.join(',') };
    return (await this.get<ICells>('diff/cells', query)).cells;
  }

  private async get<T>(place: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    return (await this.request('GET', place, { query, signal })).json();
  }

  private async send<T>(method: string, place: string, body: unknown): Promise<T> {
    return (await this.request(method, place, { body })).json();
  }

  private async request(
    method: string,
    place: string,
    options: { query?: Query; body?: unknown; signal?: AbortSignal } = {}
  ): Promise<Response> {
    const query = Object.entries(options.query ?? {})
      .filter(([, value]) => value !== undefined && value !== '')
      .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
    const url =
      URLExt.join(this.settings.baseUrl, 'codesave/api', place) +
      (query.length ? `?${query.join('&')}` : '');
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(
        url,
        {
          method,
          signal: options.signal,
          body: options.body === undefined ? undefined : JSON.stringify(options.body)
        },
        this.settings
      );
    } catch (error) {
      throw options.signal?.aborted ? error : new NoAnswerError();
    }
    if (!response.ok) {
      throw await failure(response, place);
    }
    return response;
  }
}

/** What the server said went wrong: its message names the thing, the reason and the way out. */
async function failure(response: Response, place: string): Promise<Error> {
  let message = `The server answered ${response.status} ${response.statusText} for codesave/api/${place}`;
  try {
    message = (await response.json()).message || message;
  } catch {
    // Not ours: a proxy or a server without the extension; the status line says enough.
  }
  return new Error(message);
}

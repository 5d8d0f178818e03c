import type { ICell, IOutput } from '@jupyterlab/nbformat';
import { makeOutputModels } from 'nbdime/lib/diff/model/output';
import { getSubDiffByKey } from 'nbdime/lib/diff/util';
import type { IOutputPair } from './model/outputs';
import type { Side } from './tokens';

type CellDiff = Parameters<typeof getSubDiffByKey>[0];

/** nbdime's entries for the cell that the base has at `index`; null where it has none. */
export function cellDiff(notebookDiff: unknown, index: number): unknown {
  const cells = getSubDiffByKey((notebookDiff as CellDiff) ?? [], 'cells') ?? [];
  const entry = (cells as { op: string; key: unknown; diff?: unknown }[]).find(
    ({ op, key }) => op === 'patch' && key === index
  );
  return entry?.diff ?? null;
}

/** Pairs the outputs of a cell as nbdime's model does with the diff that the server made. */
export function pairOutputs(base: ICell, head: ICell, diff: unknown): IOutputPair[] {
  const before = (base.outputs as IOutput[] | undefined) ?? [];
  const after = (head.outputs as IOutput[] | undefined) ?? [];
  const entries = diff ? getSubDiffByKey(diff as CellDiff, 'outputs') : null;
  if (entries) {
    try {
      let next = 0;
      const pairs = makeOutputModels(before, null, entries as never).map(model => ({
        base: model.added ? null : model.base,
        head: model.deleted ? null : after[next++]
      }));
      if (next === after.length) {
        return zipped(pairs).map(withChange);
      }
    } catch {
      // The diff does not fit these outputs (nbdime counts lines as JavaScript does): by place.
    }
  }
  return Array.from({ length: Math.max(before.length, after.length) }, (_, i) =>
    withChange({ base: before[i] ?? null, head: after[i] ?? null })
  );
}

type Pair = Pick<IOutputPair, 'base' | 'head'>;

/** An output replaced by another is a removed and an added one to nbdime: one pair to a person. */
function zipped(pairs: readonly Pair[]): Pair[] {
  const result: Pair[] = [];
  let lone: Record<Side, IOutput[]> = { base: [], head: [] };
  const flush = () => {
    for (let i = 0; i < Math.max(lone.base.length, lone.head.length); i++) {
      result.push({ base: lone.base[i] ?? null, head: lone.head[i] ?? null });
    }
    lone = { base: [], head: [] };
  };
  for (const pair of pairs) {
    if (pair.base && pair.head) {
      flush();
      result.push(pair);
    } else if (pair.base) {
      lone.base.push(pair.base);
    } else if (pair.head) {
      lone.head.push(pair.head);
    }
  }
  flush();
  return result;
}

function withChange(pair: Pair): IOutputPair {
  return { ...pair, changed: content(pair.base) !== content(pair.head) };
}

/** An output without its prompt number, which every rerun changes. */
function content(output: IOutput | null): string {
  return JSON.stringify(output, (key, value) =>
    key === 'execution_count' ? undefined : value
  );
}

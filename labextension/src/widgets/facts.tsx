import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { IFacts } from '../tokens';

/** How many facts around the code differ. */
export function countFacts(facts: IFacts | null): number {
  return facts ? rowsOf(facts).reduce((sum, table) => sum + table.rows.length, 0) : 0;
}

/** Packages, git, config and arguments that differ, as tables. */
export function Facts({ facts, trans }: { facts: IFacts; trans: TranslationBundle }) {
  const titles: Record<string, string> = {
    git: trans.__('Git'),
    packages: trans.__('Packages'),
    config: trans.__('Config'),
    argv: trans.__('Arguments')
  };
  return (
    <div className="codesave-Facts">
      {rowsOf(facts)
        .filter(table => table.rows.length > 0)
        .map(({ kind, rows }) => (
          <table key={kind} className="codesave-Table" data-facts={kind}>
            <caption>{titles[kind]}</caption>
            <thead>
              <tr>
                <th scope="col">{trans.__('Name')}</th>
                <th scope="col">{trans.__('Base')}</th>
                <th scope="col">{trans.__('Head')}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(row => (
                <tr key={row.name}>
                  <th scope="row">{row.name}</th>
                  <td className={row.base == null ? '' : 'codesave-mod-removed'}>
                    {words(row.base)}
                  </td>
                  <td className={row.head == null ? '' : 'codesave-mod-added'}>
                    {words(row.head)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        ))}
    </div>
  );
}

interface IFactRow {
  name: string;
  base: unknown;
  head: unknown;
}

function rowsOf(facts: IFacts): { kind: string; rows: IFactRow[] }[] {
  const differs = (row: IFactRow) => words(row.base) !== words(row.head);
  const { git, argv } = facts;
  return [
    { kind: 'git', rows: git ? parts(git.base, git.head) : [] },
    { kind: 'packages', rows: facts.packages ?? [] },
    {
      kind: 'config',
      rows: (facts.config ?? []).map(({ key, base, head }) => ({ name: key, base, head }))
    },
    { kind: 'argv', rows: argv ? [{ name: 'argv', ...argv }] : [] }
  ].map(({ kind, rows }) => ({ kind, rows: rows.filter(differs) }));
}

/** What two states of git say, by their keys. */
function parts(base: Record<string, unknown> | null, head: Record<string, unknown> | null) {
  const names = new Set([...Object.keys(base ?? {}), ...Object.keys(head ?? {})]);
  return [...names].map(name => ({ name, base: base?.[name], head: head?.[name] }));
}

function words(value: unknown): string {
  if (value === null || value === undefined) {
    return '–';
  }
  if (Array.isArray(value)) {
    return value.map(words).join(' ');
  }
  if (typeof value === 'object') {
    return Object.entries(value)
      .map(([key, inner]) => `${key}: ${words(inner)}`)
      .join(', ');
  }
  return String(value);
}

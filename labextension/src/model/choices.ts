import type { TranslationBundle } from '@jupyterlab/translation';
import { pathReference } from '../client';
import type { IArtifact, IRun } from '../tokens';
import { dayAndTime, runTitle, sameMinute } from './titles';

/** Something that can be compared, as a person knows it. */
export interface IChoice {
  reference: string;
  kind: 'run' | 'version' | 'path';
  title: string;
  /** What tells it from others of the same title. */
  detail: string;
}

/** The runs, newest first, then the notebooks on disk, then the versions that are kept. */
export function choices(
  runs: readonly IRun[],
  open: readonly string[],
  artifacts: readonly IArtifact[],
  trans: TranslationBundle
): IChoice[] {
  const shared = sameMinute(runs);
  const found: IChoice[] = runs.map(run => ({
    reference: run.id,
    kind: 'run',
    title: runTitle(run, new Date(), undefined, shared.has(run.id)),
    detail: [run.project, run.tags.join(', '), run.id].filter(Boolean).join(' · ')
  }));
  const inside = runs.map(({ notebook }) => notebook).filter(path => !path?.startsWith('/'));
  for (const path of new Set([...open, ...inside])) {
    if (path) {
      const title = trans.__('%1 on disk', path);
      found.push({ reference: pathReference(path), kind: 'path', title, detail: '' });
    }
  }
  for (const { name, versions } of artifacts) {
    for (const { version, aliases, created } of versions) {
      found.push({
        reference: `${name}:${version}`,
        kind: 'version',
        title: `${name}:${version}`,
        detail: [...aliases, dayAndTime(created)].join(' · ')
      });
    }
  }
  return found;
}

/** Those in which every word of `text` stands; what it names exactly comes first. */
export function matching(all: readonly IChoice[], text: string): IChoice[] {
  const said = text.trim();
  const words = said.toLocaleLowerCase().split(/\s+/);
  const found = all.filter(({ reference, title, detail }) => {
    const whole = `${title} ${detail} ${reference}`.toLocaleLowerCase();
    return words.every(word => whole.includes(word));
  });
  const exact = found.filter(({ reference, title }) => said === reference || said === title);
  return [...exact, ...found.filter(choice => !exact.includes(choice))];
}

import type { IRun } from '../tokens';

/** The last part of a path. */
export function baseName(path: string): string {
  return path.replace(/\/+$/, '').split('/').pop() || path;
}

/** What a person calls the code of a run: its notebook, its program, else its project. */
export function codeName(run: IRun): string {
  const path = run.notebook || run.program;
  return path ? baseName(path) : run.project || run.kind;
}

/** What the runs of one file, or of one kind of a project's file-less runs, stand under. */
export function heading(run: IRun): string {
  if (run.notebook || run.program) {
    return codeName(run);
  }
  return [run.project, `${run.kind}s`].filter(Boolean).join(' · ');
}

/** "14:02" today, "Tue 14:02" within six days, "12 Mar 14:02" this year, else with the year. */
export function when(iso: string, now = new Date(), locale?: string, seconds = false): string {
  const time = new Date(iso);
  const clock = time.toLocaleTimeString(locale, {
    hour: '2-digit',
    minute: '2-digit',
    second: seconds ? '2-digit' : undefined
  });
  if (time.toDateString() === now.toDateString()) {
    return clock;
  }
  const days = (now.getTime() - time.getTime()) / 86_400_000;
  if (days >= 0 && days < 6) {
    return `${time.toLocaleDateString(locale, { weekday: 'short' })} ${clock}`;
  }
  const year = time.getFullYear() === now.getFullYear() ? undefined : 'numeric';
  const date = time.toLocaleDateString(locale, { day: 'numeric', month: 'short', year });
  return `${date} ${clock}`;
}

/** "Today 14:02", "Tue 14:02" …; with seconds where the minute does not tell two runs apart. */
export function dayAndTime(
  iso: string,
  seconds = false,
  now = new Date(),
  locale?: string
): string {
  const words = when(iso, now, locale, seconds);
  if (new Date(iso).toDateString() !== now.toDateString()) {
    return words;
  }
  const today = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(0, 'day');
  return `${today.charAt(0).toLocaleUpperCase(locale)}${today.slice(1)} ${words}`;
}

/** The ids of those runs that started in the same minute as another of `runs`. */
export function sameMinute(runs: readonly IRun[]): Set<string> {
  const minutes = new Map<number, IRun[]>();
  for (const run of runs) {
    const minute = Math.floor(Date.parse(run.started) / 60_000);
    minutes.set(minute, [...(minutes.get(minute) ?? []), run]);
  }
  const shared = [...minutes.values()].filter(others => others.length > 1);
  return new Set(shared.flat().map(({ id }) => id));
}

/** "0.4 s", "12 s", "3 min 05 s", "2 h 10 min"; milliseconds in. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) {
    return `${seconds < 0.1 && seconds > 0 ? '< 0.1' : seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  }
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** "512 B", "1.4 kB", "3.2 MB"; powers of 1000. */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** The name a person gave the run, or null where it is only the machine's own. */
export function givenName(run: IRun): string | null {
  const name = run.name?.trim();
  const file = codeName(run);
  const stem = file.replace(/\.\w+$/, '');
  const own = [run.id, run.notebook, run.program, run.kind, file, stem];
  // A run keeps the name of its notebook file when that is renamed.
  const former = run.notebook && name?.endsWith('.ipynb');
  return name && !former && !own.includes(name) ? name : null;
}

/** "analysis.ipynb · Tue 14:02 · 37 cells" */
export function runTitle(
  run: IRun,
  now = new Date(),
  locale?: string,
  seconds = false
): string {
  const parts = [codeName(run), when(run.started, now, locale, seconds)];
  const name = givenName(run);
  if (name) {
    parts.splice(1, 0, name);
  }
  return [...parts, cellCount(run)].filter(Boolean).join(' · ');
}

/** How many cells ran; nothing of a script, which is one. */
export function cellCount({ executions, kind }: IRun): string {
  if (kind === 'script' && executions < 2) {
    return '';
  }
  return `${executions.toLocaleString()} ${executions === 1 ? 'cell' : 'cells'}`;
}

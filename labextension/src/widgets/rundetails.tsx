import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';
import { CommandIDs } from '../commands';
import { bytes, duration } from '../model/titles';
import type { IRunPage, IStoredFile } from '../tokens';

interface IProps {
  page: IRunPage;
  commands: CommandRegistry;
  openFile: (file: IStoredFile) => void;
  trans: TranslationBundle;
}

/** The page of a run: the files of its code, git, config, environment. */
export function RunDetails({ page, commands, openFile, trans }: IProps): JSX.Element {
  const spent = page.ended ? Date.parse(page.ended) - Date.parse(page.started) : null;
  const { git, environment } = page;
  const fileList = (files: IStoredFile[]) => (
    <ul className="codesave-FileList">
      {files.map(file => (
        <li key={file.path} data-path={file.path}>
          <button className="codesave-Link" onClick={() => openFile(file)}>
            {file.path}
          </button>
          <span>{bytes(file.size)}</span>
        </li>
      ))}
    </ul>
  );
  return (
    <>
      <Table
        title={trans.__('Run')}
        rows={[
          [trans.__('Id'), page.id],
          [trans.__('Project'), page.project],
          [trans.__('Notebook'), page.notebook],
          [trans.__('Program'), page.program],
          [trans.__('Started'), new Date(page.started).toLocaleString()],
          [trans.__('Took'), spent === null ? null : duration(spent)],
          [trans.__('Ended by'), page.ended_by],
          [trans.__('Error'), page.error],
          [trans.__('Host'), [page.user, page.host].filter(Boolean).join('@')],
          [trans.__('Folder'), page.cwd],
          [trans.__('Arguments'), page.argv?.join(' ')],
          [trans.__('Tags'), page.tags.join(', ')],
          [trans.__('Notes'), page.notes]
        ]}
      />
      <section aria-label={trans.__('Code')}>
        <h3>{page.artifact ? trans.__('Code: %1', page.artifact) : trans.__('Code')}</h3>
        {page.code.length === 0 && (
          <p className="codesave-note">{trans.__('No version of the code is stored yet.')}</p>
        )}
        {fileList(page.code)}
      </section>
      {page.files.length > 0 && (
        <section aria-label={trans.__('Saved files')}>
          <h3>{trans.__('Saved files')}</h3>
          {fileList(page.files)}
        </section>
      )}
      {page.session_runs.length > 1 && (
        <section aria-label={trans.__('Runs of the same session')}>
          <h3>{trans.__('Runs of the same session')}</h3>
          <ul className="codesave-FileList">
            {page.session_runs
              .filter(id => id !== page.id)
              .map(id => (
                <li key={id}>
                  <button
                    className="codesave-Link"
                    onClick={() => void commands.execute(CommandIDs.openSession, { run: id })}
                  >
                    {id}
                  </button>
                </li>
              ))}
          </ul>
        </section>
      )}
      <Table
        title={trans.__('Git')}
        rows={
          git?.commit
            ? [
                [trans.__('Commit'), git.commit],
                [trans.__('Branch'), git.branch],
                [trans.__('Remote'), git.remote],
                [trans.__('Uncommitted changes'), git.dirty ? trans.__('yes') : trans.__('no')]
              ]
            : []
        }
      />
      <Table
        title={trans.__('Config')}
        rows={Object.entries(page.config ?? {}).map(([key, value]) => [key, words(value)])}
      />
      <Table
        title={trans.__('Environment')}
        rows={
          environment
            ? [['Python', environment.python], ...Object.entries(environment.packages ?? {})]
            : []
        }
      />
    </>
  );
}

type Row = [string, string | null | undefined];

function Table({ title, rows }: { title: string; rows: Row[] }): JSX.Element | null {
  const shown = rows.filter(([, value]) => value);
  return shown.length === 0 ? null : (
    <table className="codesave-Table">
      <caption>{title}</caption>
      <tbody>
        {shown.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function words(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

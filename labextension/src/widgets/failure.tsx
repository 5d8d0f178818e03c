import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { CodeSaveError } from '../client';

interface IProps {
  error: Error;
  again: () => void;
  trans: TranslationBundle;
}

/** What went wrong, the way out, and a button that tries again. */
export function Failure({ error, again, trans }: IProps): JSX.Element {
  return (
    <div className="codesave-Failure" role="alert">
      <h2>{error.message}</h2>
      {error instanceof CodeSaveError && error.reason && <p>{error.reason}</p>}
      <button className="codesave-Button" onClick={again}>
        {trans.__('Try again')}
      </button>
    </div>
  );
}

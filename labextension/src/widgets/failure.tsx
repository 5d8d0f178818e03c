import { showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

interface IProps {
  error: Error;
  again: () => void;
  trans: TranslationBundle;
}

/** What went wrong, in words that name the way out, and a button that tries again. */
export function Failure({ error, again, trans }: IProps): JSX.Element {
  return (
    <div className="codesave-Failure" role="alert">
      <h2>{error.message}</h2>
      <button className="codesave-Button" onClick={again}>
        {trans.__('Try again')}
      </button>
    </div>
  );
}

/** Tells what went wrong in whole: a notification would cut the way out off. */
export function showFailure(title: string, { message }: Error): Promise<void> {
  return showErrorMessage(title, message.charAt(0).toUpperCase() + message.slice(1));
}

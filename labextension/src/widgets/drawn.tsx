import * as React from 'react';

/** Calls `then` each time React has put what it stands beside into the page. */
export function Drawn({ then }: { then: () => void }): null {
  React.useLayoutEffect(then);
  return null;
}

import type { JSX } from 'preact';
import { Blank } from '../ui/parts';
import { useTitle } from '../ui/hooks';

export function NotFound(): JSX.Element {
  useTitle('Not found');
  return (
    <div class="sheet">
      <h1 class="sr">Not found</h1>
      <Blank title="There is no such page">
        <a class="button" href="/">
          To the masters
        </a>
      </Blank>
    </div>
  );
}

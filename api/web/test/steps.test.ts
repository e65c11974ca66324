import { expect, test } from 'vitest';
import { stepsOf } from '../src/ui/parts';

const ORDER = ['sign', 'send', 'queued', 'included', 'done'] as const;
type Phase = (typeof ORDER)[number] | 'ask';

function states(phase: Phase, failed = false): string[] {
  const step = stepsOf<Phase>(ORDER, phase, failed);
  return [step('Sign', ['sign']), step('Hand over', ['send', 'queued']), step('In a block', ['included'])].map(({ state }) => state);
}

test('a step is under way in each of its phases, and done when they are over', () => {
  expect(states('ask')).toEqual(['later', 'later', 'later']);
  expect(states('sign')).toEqual(['now', 'later', 'later']);
  expect(states('send')).toEqual(['done', 'now', 'later']);
  expect(states('queued')).toEqual(['done', 'now', 'later']);
  expect(states('included')).toEqual(['done', 'done', 'now']);
  expect(states('done')).toEqual(['done', 'done', 'done']);
});

test('what fails is the step of its phase, and what came before stays done', () => {
  expect(states('queued', true)).toEqual(['done', 'bad', 'later']);
});

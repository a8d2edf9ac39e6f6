import { canonicalJson } from '@holdfast/core'

import type { Stage } from './stage.ts'
import type { Story } from './stories/story.ts'

/** Plays every story; returns the titles of those that did not come out as expected. */
export async function playStories(stage: Stage, stories: readonly Story[]): Promise<readonly string[]> {
  const failed: string[] = []
  for (const [index, story] of stories.entries()) {
    stage.parts.tell.chapter({ label: `${index + 1} of ${stories.length}`, title: story.title })
    if (!(await playStory(story, stage))) failed.push(story.title)
  }
  return failed
}

async function playStory(story: Story, stage: Stage): Promise<boolean> {
  const { tell } = stage.parts
  const facts = await story.play(stage)
  const isTrue = canonicalJson(facts) === canonicalJson(story.expected)
  tell.gap()
  tell.verdict(isTrue, isTrue ? story.moral : 'This did not come out as it should.')
  if (!isTrue) {
    tell.item('expected', [JSON.stringify(story.expected)])
    tell.item('came out', [JSON.stringify(facts)])
  }
  return isTrue
}

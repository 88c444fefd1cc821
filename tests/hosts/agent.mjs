// Does on its host what a test says: each line is a function and its input, each answer what came of it.

import { createInterface } from 'node:readline';

for await (const line of createInterface({ input: process.stdin })) {
  const { work, input } = JSON.parse(line);
  let answer;
  try {
    // The function's text; it has nothing of the test's scope, as in a page.
    const run = (0, eval)(`(${work})`);
    answer = { result: (await run(input)) ?? null };
  } catch (error) {
    answer = { error: `${error?.message ?? error}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);

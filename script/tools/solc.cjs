#!/usr/bin/env node
// Lets forge use the npm `solc` package as its compiler: answers `--version` and compiles standard JSON from stdin.
//
// Tests and the local exchange are compiled without IR: foundry.toml says what that saves. The system, and whatever has a
// part of it inside, is always compiled with forge's settings.
"use strict";

const fs = require("node:fs");
const solc = require("solc");

const TEST_CODE =
  /^(test\/contracts\/.*(\.t|Fixture|Handler|PerpV2Factory|Tokens|Wallets)|script\/deploy\/(local\/.*|PerpV2Deployer|DeployLocalVenue\.s))\.sol$/;
const CALLS_LIBRARIES = /^import [^;]*\/contracts\/libraries\//m;

/// Names of the sources that only test.
function testCode(sources) {
  const code = ([file]) => TEST_CODE.test(file);
  const tests = new Map(Object.entries(sources).filter((entry) => code(entry) && !CALLS_LIBRARIES.test(entry[1].content)));
  const contracts = ([, { content }]) => [...content.matchAll(/^(?:abstract )?contract (\w+)/gm)].map((match) => match[1]);
  let inside = Object.entries(sources).filter(([file]) => !tests.has(file) && !file.startsWith("node_modules/")).flatMap(contracts);
  // Who creates or inherits a contract has it inside, and so on for those who create that one.
  while (inside.length > 0) {
    const names = `(?:${inside.join("|")})\\b`;
    const embeds = new RegExp(`\\bnew ${names}|^(?:abstract )?contract \\w+ is [^{]*\\b${names}`, "m");
    const found = [...tests].filter(([, { content }]) => embeds.test(content));
    for (const [file] of found) tests.delete(file);
    inside = found.flatMap(contracts);
  }
  return tests;
}

function compile(input, outputSelection, settings = {}) {
  if (Object.keys(outputSelection).length === 0) return {};
  const request = { ...input, settings: { ...input.settings, ...settings, outputSelection } };
  return JSON.parse(solc.compile(JSON.stringify(request)));
}

function both(input) {
  const tests = testCode(input.sources);
  const asked = Object.entries(input.settings.outputSelection).filter(([, of]) => Object.values(of).some((kinds) => kinds.length > 0));
  const part = (wanted) => Object.fromEntries(asked.filter(([file]) => tests.has(file) === wanted));
  const system = compile(input, part(false));
  const test = compile(input, part(true), { viaIR: false, optimizer: { enabled: true, runs: 200 } });
  const errors = [...(system.errors ?? []), ...(test.errors ?? [])];
  return {
    // Both have read all sources, and found the same in them.
    errors: [...new Map(errors.map((error) => [error.formattedMessage, error])).values()],
    sources: system.sources ?? test.sources ?? {},
    contracts: { ...system.contracts, ...test.contracts },
  };
}

if (process.argv.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else {
  const text = fs.readFileSync(0, "utf8");
  const input = JSON.parse(text);
  const whole = "*" in (input.settings.outputSelection ?? { "*": {} }) || !input.settings.viaIR;
  process.stdout.write(whole ? solc.compile(text) : JSON.stringify(both(input)));
}

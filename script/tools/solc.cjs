#!/usr/bin/env node
// Lets forge use the npm `solc` package as its compiler: answers `--version` and compiles standard JSON from stdin.
"use strict";

const fs = require("node:fs");
const solc = require("solc");

if (process.argv.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else {
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8")));
}

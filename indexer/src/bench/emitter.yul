// Emits the logs that its calldata lists. Set as the code of a contract's address on a local chain, it speaks for that
// contract. Calldata is a list of: number of topics (32 bytes), length of the data (32 bytes), topics, data.
//
// `emitter.hex` is its runtime code:
//   node -e 'const s=require("solc");const o=JSON.parse(s.compile(JSON.stringify({language:"Yul",sources:{"e.yul":
//   {content:require("fs").readFileSync("emitter.yul","utf8")}},settings:{optimizer:{enabled:true},outputSelection:
//   {"*":{"*":["evm.bytecode.object"]}}}})));console.log(Object.values(o.contracts["e.yul"])[0].evm.bytecode.object)'
object "Emitter" {
    code {
        let at := 0
        for {} lt(at, calldatasize()) {} {
            let topics := calldataload(at)
            let length := calldataload(add(at, 32))
            let first := add(at, 64)
            let data := add(first, mul(topics, 32))
            calldatacopy(0, data, length)
            switch topics
            case 1 { log1(0, length, calldataload(first)) }
            case 2 { log2(0, length, calldataload(first), calldataload(add(first, 32))) }
            case 3 { log3(0, length, calldataload(first), calldataload(add(first, 32)), calldataload(add(first, 64))) }
            case 4 {
                log4(
                    0, length, calldataload(first), calldataload(add(first, 32)), calldataload(add(first, 64)),
                    calldataload(add(first, 96))
                )
            }
            default { revert(0, 0) }
            at := add(data, length)
        }
    }
}

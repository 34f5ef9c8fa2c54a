from anthropo.cli import main

main()
